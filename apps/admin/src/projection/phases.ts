import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as ExecutionPhase,
} from '@aloft/idl/flyteidl/core/execution';

/**
 * The phase rules of A-60…A-62, in one place: the projection drops what they refuse, an event rpc answers with the error.
 * `duplicate`: the phase is recorded already (ALREADY_EXISTS); `terminal`: it is over (FAILED_PRECONDITION with detail);
 * `backwards`: not from here (FAILED_PRECONDITION).
 */
export type Verdict = 'apply' | 'duplicate' | 'terminal' | 'backwards';

const terminalExecutions = new Set([
  ExecutionPhase.SUCCEEDED,
  ExecutionPhase.FAILED,
  ExecutionPhase.TIMED_OUT,
  ExecutionPhase.ABORTED,
]);
const terminalNodes = new Set([
  NodePhase.SUCCEEDED,
  NodePhase.FAILED,
  NodePhase.TIMED_OUT,
  NodePhase.ABORTED,
  NodePhase.SKIPPED,
  NodePhase.RECOVERED,
]);
const terminalTasks = new Set([TaskPhase.SUCCEEDED, TaskPhase.FAILED, TaskPhase.ABORTED, TaskPhase.RETRYABLE_FAILED]);

/** */
export const isTerminalExecution = (phase: ExecutionPhase): boolean => terminalExecutions.has(phase);
/** */
export const isTerminalNode = (phase: NodePhase): boolean => terminalNodes.has(phase);
/** */
export const isTerminalTask = (phase: TaskPhase): boolean => terminalTasks.has(phase);

/** */
export function judgeExecution(current: ExecutionPhase, next: ExecutionPhase): Verdict {
  if (current === next && next !== ExecutionPhase.QUEUED) return 'duplicate';
  if (isTerminalExecution(current)) return 'terminal';
  if (current === ExecutionPhase.RUNNING && next === ExecutionPhase.QUEUED) return 'backwards';
  if (current === ExecutionPhase.ABORTING && !isTerminalExecution(next)) return 'backwards';
  return 'apply';
}

/** `undefined`: there is no row yet. */
export function judgeNode(current: NodePhase | undefined, next: NodePhase): Verdict {
  if (current === undefined) return 'apply';
  if (current === next) return 'duplicate';
  return isTerminalNode(current) ? 'terminal' : 'apply';
}

/** What is recorded of a task's phase: a retryable failure is the end of its attempt like any other. */
export const recordedTaskPhase = (phase: TaskPhase): TaskPhase =>
  phase === TaskPhase.RETRYABLE_FAILED ? TaskPhase.FAILED : phase;

/** `undefined`: there is no row yet. */
export function judgeTask(
  current: { phase: TaskPhase; phaseVersion: number } | undefined,
  next: { phase: TaskPhase; phaseVersion: number },
): Verdict {
  if (current === undefined) return 'apply';
  if (current.phase === next.phase && next.phaseVersion <= current.phaseVersion) return 'duplicate';
  return isTerminalTask(current.phase) ? 'terminal' : 'apply';
}

export const executionPhaseName = (phase: ExecutionPhase): string => ExecutionPhase[phase] ?? String(phase);
export const nodePhaseName = (phase: NodePhase): string => NodePhase[phase] ?? String(phase);
export const taskPhaseName = (phase: TaskPhase): string => TaskPhase[phase] ?? String(phase);
