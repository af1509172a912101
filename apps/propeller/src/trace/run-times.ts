import type { ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as RunPhase,
} from '@aloft/idl/flyteidl/core/execution';
import type { NodeExecutionEvent, TaskExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import { toMs } from '../runs/clock.js';

/** All times in milliseconds since the epoch. */
export interface AttemptTimes {
  attempt: number;
  taskType: string;
  /** The engine decided on it: it leaves with that commit. */
  queued: number;
  /** The backend began to start it, it ran, it was over: as the backend's clock said. */
  taken?: number;
  running?: number;
  done?: number;
}

interface NodeTimes {
  since: number;
  parent?: string;
  /** Runs a task (or takes its result from the cache): what counts as a step. */
  task: boolean;
  attempt?: AttemptTimes;
}

/** Something of a run that is over: told to metrics and traces once the commit that says so is durable. */
export type Ended = { phase: string; at: number; code?: string } & (
  | ({ kind: 'attempt'; node: string } & AttemptTimes)
  | { kind: 'node'; node: string; since: number; parent?: string; task: boolean }
  | { kind: 'run' }
);

const runEnds: ReadonlySet<RunPhase> = new Set([
  RunPhase.SUCCEEDED,
  RunPhase.FAILED,
  RunPhase.ABORTED,
  RunPhase.TIMED_OUT,
]);
const nodeEnds: ReadonlySet<NodePhase> = new Set([
  NodePhase.SUCCEEDED,
  NodePhase.FAILED,
  NodePhase.ABORTED,
  NodePhase.TIMED_OUT,
  NodePhase.RECOVERED,
]);

/** When what is under way in a run began: what the engine's events tell, kept until it ends. */
export class RunTimes {
  private readonly nodes = new Map<string, NodeTimes>();

  /** `at`: log time of the event. Returns through `ended` what is over with it. */
  observe({ event }: ExecutionEvent, at: number, ended: Ended[]): void {
    if (event?.$case === 'node') this.node(event.value, at, ended);
    else if (event?.$case === 'task') this.task(event.value, at, ended);
    else if (event?.$case === 'workflow' && runEnds.has(event.value.phase)) {
      // What the engine let go of without a word ends with the run.
      for (const [node, times] of this.nodes) this.endNode(node, times, 'ABORTED', at, ended);
      ended.push({ kind: 'run', phase: RunPhase[event.value.phase], at, ...codeOf(event.value.outputResult) });
    }
  }

  /** For a snapshot of the run; `undefined` when nothing is under way. */
  save(): Record<string, unknown> | undefined {
    return this.nodes.size === 0 ? undefined : Object.fromEntries(this.nodes);
  }

  restore(saved: Record<string, unknown> | null): void {
    for (const [node, times] of Object.entries(saved ?? {})) this.nodes.set(node, times as NodeTimes);
  }

  private node(event: NodeExecutionEvent, at: number, ended: Ended[]): void {
    const id = event.id?.nodeId ?? '';
    const known = this.nodes.get(id);
    if (nodeEnds.has(event.phase)) {
      const times = known ?? { since: at, parent: event.parentNodeMetadata?.nodeId, task: false };
      this.endNode(id, times, NodePhase[event.phase], at, ended, codeOf(event.outputResult));
    } else if (event.phase === NodePhase.SKIPPED) this.nodes.delete(id);
    else if (!known) {
      const task = event.targetMetadata?.$case === 'taskNodeMetadata';
      this.nodes.set(id, { since: at, parent: event.parentNodeMetadata?.nodeId, task });
    }
  }

  private endNode(
    node: string,
    { attempt, ...times }: NodeTimes,
    phase: string,
    at: number,
    ended: Ended[],
    code: { code?: string } = {},
  ): void {
    this.nodes.delete(node);
    if (attempt) ended.push({ kind: 'attempt', node, ...attempt, phase, at });
    ended.push({ kind: 'node', node, ...times, phase, at, ...code });
  }

  private task(event: TaskExecutionEvent, at: number, ended: Ended[]): void {
    const node = event.parentNodeExecutionId?.nodeId ?? '';
    const times = this.nodes.get(node);
    if (!times) return;
    let { attempt } = times;
    if (attempt?.attempt !== event.retryAttempt) {
      if (attempt) ended.push({ kind: 'attempt', node, ...attempt, phase: 'FAILED', at });
      attempt = { attempt: event.retryAttempt, taskType: event.taskType, queued: at };
      times.attempt = attempt;
    }
    const said = event.occurredAt ? toMs(event.occurredAt) : at;
    switch (event.phase) {
      case TaskPhase.INITIALIZING:
        attempt.taken ??= said;
        return;
      case TaskPhase.RUNNING:
        attempt.running ??= said;
        return;
      case TaskPhase.SUCCEEDED:
      case TaskPhase.FAILED:
      case TaskPhase.ABORTED:
        times.attempt = undefined;
        ended.push({
          kind: 'attempt',
          node,
          ...attempt,
          done: said,
          phase: TaskPhase[event.phase],
          at,
          ...codeOf(event.outputResult),
        });
    }
  }
}

/** The code only: messages may hold values. */
function codeOf(result: { $case: string; value: unknown } | undefined): { code?: string } {
  return result?.$case === 'error' ? { code: (result.value as { code: string }).code } : {};
}
