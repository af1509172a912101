import { type BenchClient } from '@aloft/bench/client';
import { TaskExecutionListRequest, type TaskExecution } from '@aloft/idl/flyteidl/admin/task_execution';
import { WorkflowExecutionGetDataRequest, WorkflowExecutionGetRequest } from '@aloft/idl/flyteidl/admin/execution';
import { NodeExecutionListRequest, type NodeExecution } from '@aloft/idl/flyteidl/admin/node_execution';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import {
  ExecutionError_ErrorKind as Kind,
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as RunPhase,
} from '@aloft/idl/flyteidl/core/execution';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';

const limit = 100;

/** Seconds of a timestamp or a duration. */
export const seconds = (time: { seconds: bigint; nanos: number } | undefined): number =>
  time ? Number(time.seconds) + time.nanos / 1e9 : NaN;

export interface Attempt {
  number: number;
  phase: string;
  code: string;
  kind: string;
  /** Seconds since 1970. */
  queued: number;
  started: number;
  /** How long it ran, as the platform recorded it. */
  seconds: number;
  /** Phases of the items of a map. */
  items: string[];
}

/** One node execution, phases by their names, times in seconds. */
export class Node {
  readonly id: string;
  readonly spec: string;
  readonly phase: string;
  readonly queued: number;
  readonly started: number;
  readonly ended: number;
  readonly deckUri: string;
  /** What became of its look into the cache, and whose result it took. */
  readonly cache: string | undefined;
  readonly cacheSource: string | undefined;
  /** Name of its child execution. */
  readonly child: string | undefined;

  constructor(
    private readonly client: BenchClient,
    readonly message: NodeExecution,
  ) {
    const { closure, metadata } = message;
    this.id = message.id!.nodeId;
    this.spec = metadata?.specNodeId ?? '';
    this.phase = NodePhase[closure!.phase];
    this.queued = seconds(closure!.createdAt);
    this.started = seconds(closure!.startedAt);
    this.ended = seconds(closure!.updatedAt);
    this.deckUri = closure!.deckUri;
    const target = closure!.targetMetadata;
    const task = target?.$case === 'taskNodeMetadata' ? target.value : undefined;
    this.cache = task && CatalogCacheStatus[task.cacheStatus];
    const source = task?.catalogKey?.sourceExecution;
    this.cacheSource =
      source?.$case === 'sourceTaskExecution' ? source.value.nodeExecutionId?.executionId?.name : undefined;
    this.child = target?.$case === 'workflowNodeMetadata' ? target.value.executionId?.name : undefined;
  }

  async attempts(): Promise<Attempt[]> {
    const request = TaskExecutionListRequest.fromPartial({ nodeExecutionId: this.message.id, limit });
    const { taskExecutions } = await this.client.admin.listTaskExecutions(request);
    return taskExecutions.map(attemptOf).sort((a, b) => a.number - b.number);
  }
}

function attemptOf({ id, closure }: TaskExecution): Attempt {
  const error = closure?.outputResult?.$case === 'error' ? closure.outputResult.value : undefined;
  return {
    number: id!.retryAttempt,
    phase: TaskPhase[closure!.phase],
    code: error?.code ?? '',
    kind: Kind[error?.kind ?? Kind.UNKNOWN],
    queued: seconds(closure?.createdAt),
    started: seconds(closure?.startedAt),
    seconds: seconds(closure?.duration),
    items: (closure?.metadata?.externalResources ?? []).map(({ phase }) => TaskPhase[phase]),
  };
}

/** One execution, read through AdminService. */
export class Run {
  constructor(
    readonly client: BenchClient,
    readonly id: WorkflowExecutionIdentifier,
  ) {}

  get name(): string {
    return this.id.name;
  }

  execution() {
    return this.client.admin.getExecution(WorkflowExecutionGetRequest.fromPartial({ id: this.id }));
  }

  /** Waits; its phase at the end, with the error if it has one. */
  async ended(): Promise<{ phase: string; code: string; kind: string; message: string }> {
    await this.client.projected(this.id);
    const { closure } = await this.execution();
    const error = closure?.outputResult?.$case === 'error' ? closure.outputResult.value : undefined;
    return {
      phase: RunPhase[closure!.phase],
      code: error?.code ?? '',
      kind: Kind[error?.kind ?? Kind.UNKNOWN],
      message: error?.message ?? '',
    };
  }

  /** Plain values; throws the run's error if it has none. */
  async outputs(): Promise<Record<string, unknown>> {
    const { phase, message } = await this.ended();
    if (phase !== 'SUCCEEDED') throw new Error(`${this.name} ended ${phase}: ${message}`);
    const request = WorkflowExecutionGetDataRequest.fromPartial({ id: this.id });
    const { fullOutputs } = await this.client.admin.getExecutionData(request);
    return Object.fromEntries(Object.entries(fullOutputs?.literals ?? {}).map(([name, value]) => [name, plain(value)]));
  }

  /** The nodes of one level by id: the top one's, or a parent's. */
  async nodes(uniqueParentId = ''): Promise<Record<string, Node>> {
    const request = NodeExecutionListRequest.fromPartial({ workflowExecutionId: this.id, limit, uniqueParentId });
    const { nodeExecutions } = await this.client.admin.listNodeExecutions(request);
    return Object.fromEntries(nodeExecutions.map((node) => [node.id!.nodeId, new Node(this.client, node)]));
  }

  async node(id: string): Promise<Node> {
    const found = (await this.nodes())[id];
    if (!found) throw new Error(`${this.name} has no node ${id}`);
    return found;
  }
}

function plain(literal: Literal): unknown {
  switch (literal.value?.$case) {
    case 'collection':
      return literal.value.value.literals.map(plain);
    case 'map':
      return Object.fromEntries(
        Object.entries(literal.value.value.literals).map(([name, item]) => [name, plain(item)]),
      );
    case 'scalar': {
      const scalar = literal.value.value.value;
      if (scalar?.$case === 'union') return scalar.value.value && plain(scalar.value.value);
      if (scalar?.$case === 'noneType') return null;
      const value = scalar?.$case === 'primitive' ? scalar.value.value?.value : undefined;
      return typeof value === 'bigint' ? Number(value) : value;
    }
    default:
      return undefined;
  }
}
