import { createHash } from 'node:crypto';
import { envelope, executionKey, type OutgoingMessage } from '@aloft/bus';
import type { MemoryBroker } from '@aloft/bus/testing';
import { INT } from '@aloft/engine/testing';
import { AloftError, notFound } from '@aloft/errors';
import { ExecutionCommand, ParentNode, StartExecution, type ExecutionSettings } from '@aloft/idl/aloft/v1/bus';
import { Execution, type ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import { LaunchPlan } from '@aloft/idl/flyteidl/admin/launch_plan';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { AdminClient } from '../requests/child-requests.js';
import { toTimestamp } from '../runs/clock.js';
import { closureOf, serialIn } from './closures.js';
import type { Flow } from './flow.js';
import { hashOf, type Random } from './random.js';
import { epoch, type Scheduler } from './scheduler.js';
import type { SimProcess } from './sim-process.js';

/** A run as admin knows it. */
export interface SimRun {
  uid: string;
  id: WorkflowExecutionIdentifier;
  flow: Flow;
  input: number;
  parent: SimRun | undefined;
  /** Node of the parent that started it. */
  parentNode: string;
  /** Somebody outside asked for its end. */
  aborted: boolean;
  maxParallelism: number;
  spec: ExecutionCreateRequest['spec'];
}

export interface SimAdminOptions {
  broker: MemoryBroker;
  blobs: Map<string, Uint8Array>;
  scheduler: Scheduler;
  random: Random;
  /** Flows of launch plans, by serial. */
  plans: ReadonlyMap<number, Flow>;
  started(run: SimRun): void;
  hasEnded(run: SimRun): boolean;
}

/** AdminService as the propeller uses it, with admin's promises: a name is given once, and a started run's command is on the bus. */
export class SimAdmin {
  readonly runs = new Map<string, SimRun>();
  private readonly closures = new Map<Flow, { uri: string; digest: Buffer }>();

  constructor(private readonly options: SimAdminOptions) {}

  start(
    name: string,
    flow: Flow,
    input: number,
    settings: Partial<ExecutionSettings>,
    child?: { parent: SimRun; node: string; attempt: number; spec: ExecutionCreateRequest['spec'] },
  ): SimRun {
    const id = { org: '', project: 'p', domain: 'd', name };
    const run: SimRun = {
      uid: uidOf(name),
      id,
      flow,
      input,
      parent: child?.parent,
      parentNode: child?.node ?? '',
      aborted: false,
      maxParallelism: settings.maxParallelism ?? 0,
      spec: child?.spec,
    };
    this.runs.set(name, run);
    const { uri, digest } = this.closure(flow);
    const parent = child && {
      execution: child.parent.id,
      executionUid: child.parent.uid,
      nodeId: child.node,
      attempt: child.attempt,
    };
    const start = StartExecution.fromPartial({
      id,
      uid: run.uid,
      closureUri: uri,
      closureDigest: digest,
      workflow: { project: 'p', domain: 'd', name: 'wf', version: '1' },
      settings: { rawOutputPrefix: 's3://aloft/raw', principal: 'tester', ...settings },
      parent,
    });
    start.inputs = { value: { $case: 'inline', value: { literals: { x: integer(input) } } } };
    this.options.started(run);
    this.send(run, { $case: 'start', value: start }, 'start');
    return run;
  }

  abort(run: SimRun, cause: string): void {
    run.aborted = true;
    this.send(run, { $case: 'abort', value: { cause, principal: 'tester' } }, `abort ${cause}`);
  }

  signal(run: SimRun, signalId: string, value: Literal, revision: number): void {
    const signal = { signalId, value, revision: BigInt(revision), principal: 'tester' };
    this.send(run, { $case: 'signal', value: signal }, `signal ${signalId} ${revision}`);
  }

  /** As a process reaches it. */
  client(process: SimProcess): AdminClient {
    const client: Partial<AdminClient> = {
      createExecution: (request, call) => {
        const attempt = Number(call?.metadata?.['aloft-parent-attempt'] ?? 0);
        return process.call('admin', 'createExecution', () => this.create(request as ExecutionCreateRequest, attempt));
      },
      terminateExecution: ({ id }) =>
        process.call('admin', 'terminateExecution', () => {
          const run = this.find(id!.name);
          if (!this.options.hasEnded(run)) this.abort(run, 'its parent ended');
          return {};
        }),
      getExecution: ({ id }) =>
        process.call('admin', 'getExecution', () =>
          Execution.fromPartial({ id: id!, spec: this.find(id!.name).spec! }),
        ),
      getLaunchPlan: ({ id }) =>
        process.call('admin', 'getLaunchPlan', () => {
          const variable = { type: INT };
          return LaunchPlan.fromPartial({
            id: id!,
            closure: {
              expectedInputs: { parameters: { x: { var: variable, behavior: { $case: 'required', value: true } } } },
              expectedOutputs: { variables: { o: variable } },
            },
          });
        }),
    };
    return client as AdminClient;
  }

  private create({ name, spec, inputs }: ExecutionCreateRequest, attempt: number) {
    const node = spec!.metadata!.parentNodeExecution!;
    const parent = this.find(node.executionId!.name);
    const existing = this.runs.get(name);
    if (existing) {
      const value = ParentNode.encode({
        execution: existing.parent?.id,
        executionUid: existing.parent?.uid ?? '',
        nodeId: existing.parentNode,
        attempt: 0,
      }).finish();
      throw new AloftError('ALREADY_EXISTS', `execution ${name} exists`, {
        details: [{ type: 'aloft.v1.ParentNode', value }],
      });
    }
    const flow = this.options.plans.get(serialIn(spec!.launchPlan!.name));
    if (!flow) throw notFound(`launch plan ${spec!.launchPlan!.name}`);
    const input = inputs!.literals['x']!;
    const settings = { maxParallelism: spec!.maxParallelism, overwriteCache: spec!.overwriteCache };
    const run = this.start(name, flow, numberIn(input), settings, { parent, node: node.nodeId, attempt, spec });
    return { id: run.id };
  }

  private find(name: string): SimRun {
    const run = this.runs.get(name);
    if (!run) throw notFound(`execution ${name}`);
    return run;
  }

  private closure(flow: Flow): { uri: string; digest: Buffer } {
    let stored = this.closures.get(flow);
    if (!stored) {
      const bytes = closureOf(flow);
      const digest = createHash('sha256').update(bytes).digest();
      stored = { uri: `s3://aloft/closures/${digest.toString('hex')}.pb`, digest };
      this.options.blobs.set(stored.uri, bytes);
      this.closures.set(flow, stored);
    }
    return stored;
  }

  /** Commands of one run stay in order; now and then one is there twice, as after a crash of the relay. */
  private send(run: SimRun, command: NonNullable<ExecutionCommand['command']>, what: string): void {
    const { broker, scheduler, random } = this.options;
    const message: OutgoingMessage = {
      topic: 'executions.commands',
      envelope: envelope({
        id: `${run.uid} ${what}`,
        type: 'aloft.v1.ExecutionCommand',
        key: executionKey(run.id),
        execution: run.id,
        executionUid: run.uid,
        time: new Date(epoch + scheduler.time),
        payload: ExecutionCommand.encode({ command }).finish(),
      }),
    };
    scheduler.note(`admin: ${what} of ${run.id.name}`);
    broker.append(random.chance(0.1) ? [message, message] : [message], undefined);
  }
}

export const integer = (value: number): Literal => ({
  value: {
    $case: 'scalar',
    value: {
      value: { $case: 'primitive', value: { value: { $case: 'integer', value: BigInt(value) } } },
    },
  },
  hash: '',
  metadata: {},
});

export const boolean = (value: boolean): Literal => ({
  value: { $case: 'scalar', value: { value: { $case: 'primitive', value: { value: { $case: 'boolean', value } } } } },
  hash: '',
  metadata: {},
});

/** The whole number in a literal; NaN if it holds none. */
export function numberIn(literal: Literal | undefined): number {
  const scalar = literal?.value?.$case === 'scalar' ? literal.value.value.value : undefined;
  if (scalar?.$case === 'union') return numberIn(scalar.value.value);
  const primitive = scalar?.$case === 'primitive' ? scalar.value.value : undefined;
  return primitive?.$case === 'integer' ? Number(primitive.value) : NaN;
}

/** The same for the same name: what a world does depends on its seed alone. */
function uidOf(name: string): string {
  const part = (salt: string) => hashOf(`${salt}${name}`).toString(16).padStart(8, '0');
  return `${part('a')}-0000-4000-8000-${part('b')}${part('c').slice(0, 4)}`;
}

export const timestampOf = (scheduler: Scheduler) => toTimestamp(Math.floor(epoch + scheduler.time));
