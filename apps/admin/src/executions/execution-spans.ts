import type { Execution } from '@aloft/idl/flyteidl/admin/execution';
import type { NodeExecution } from '@aloft/idl/flyteidl/admin/node_execution';
import type { TaskExecution } from '@aloft/idl/flyteidl/admin/task_execution';
import type { Span } from '@aloft/idl/flyteidl/core/metrics';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { compareTimes, nanosOf } from '../time.js';
import { endNode, startNode } from './execution-answers.js';
import { isTerminalExecution, isTerminalNode, isTerminalTask } from '../projection/phases.js';

/** A run with all that lies below it. */
export interface RunTree {
  execution: Execution;
  nodes: readonly NodeExecution[];
  /** Ids of parents by node id; absent for top-level nodes. */
  parents: ReadonlyMap<string, string>;
  tasks: readonly TaskExecution[];
  /** Child runs by the node that started them. */
  children: ReadonlyMap<string, RunTree>;
}

/**
 * Span tree of a run down to `depth` levels. Between its parts, what they leave of their parent is an operation of its own
 * (setup, transition, teardown), so that parts add up to the whole (S-32). Whatever still runs ends at `now`.
 */
export function spansOfRun(run: RunTree, depth: number, now: Timestamp): Span {
  const { closure, id } = run.execution;
  const start = closure?.createdAt;
  const ended = closure !== undefined && isTerminalExecution(closure.phase);
  const end = (ended ? endOf(closure) : undefined) ?? now;
  const parts = depth <= 0 ? [] : nodeSpans(run, undefined, depth - 1, now);
  return {
    id: id ? { $case: 'workflowId', value: id } : undefined,
    startTime: start,
    endTime: end,
    spans: depth <= 0 ? [] : withOperations(start, end, parts, 'WORKFLOW'),
  };
}

function nodeSpans(run: RunTree, parent: string | undefined, depth: number, now: Timestamp): Span[] {
  return run.nodes
    .filter((node) => run.parents.get(node.id?.nodeId ?? '') === parent && !isBoundary(node))
    .map((node) => nodeSpan(run, node, depth, now));
}

function isBoundary(node: NodeExecution): boolean {
  const name = node.metadata?.specNodeId ?? '';
  return name === startNode || name === endNode;
}

function nodeSpan(run: RunTree, node: NodeExecution, depth: number, now: Timestamp): Span {
  const { closure, id } = node;
  const nodeId = id?.nodeId ?? '';
  const start = closure?.createdAt;
  const end = (closure && isTerminalNode(closure.phase) ? endOf(closure) : undefined) ?? now;
  let parts: Span[] = [];
  if (depth > 0) {
    const child = run.children.get(nodeId);
    parts = [
      ...run.tasks
        .filter((task) => task.id?.nodeExecutionId?.nodeId === nodeId)
        .map((task) => taskSpan(task, depth - 1, now)),
      ...nodeSpans(run, nodeId, depth - 1, now),
      ...(child ? [spansOfRun(child, depth - 1, now)] : []),
    ];
  }
  return {
    id: id ? { $case: 'nodeId', value: id } : undefined,
    startTime: start,
    endTime: end,
    spans: depth > 0 ? withOperations(start, end, parts, 'NODE') : [],
  };
}

function taskSpan({ id, closure }: TaskExecution, depth: number, now: Timestamp): Span {
  const start = closure?.createdAt;
  const end = (closure && isTerminalTask(closure.phase) ? endOf(closure) : undefined) ?? now;
  const begun = closure?.startedAt;
  const finished = begun && closure?.duration ? plus(begun, nanosOf(closure.duration)) : end;
  const spans =
    depth > 0 && begun
      ? [
          operation('TASK_SETUP', start, begun),
          operation('TASK_RUNTIME', begun, finished),
          operation('TASK_TEARDOWN', finished, end),
        ]
      : [];
  return { id: id ? { $case: 'taskId', value: id } : undefined, startTime: start, endTime: end, spans };
}

/** Fills what comes before the first part, between parts that don't overlap, and after the last. */
function withOperations(
  start: Timestamp | undefined,
  end: Timestamp,
  parts: Span[],
  what: 'WORKFLOW' | 'NODE',
): Span[] {
  const ordered = parts
    .filter((part) => part.startTime && part.endTime)
    .sort((a, b) => compareTimes(a.startTime as Timestamp, b.startTime as Timestamp));
  if (!start || ordered.length === 0) return ordered;
  const spans: Span[] = [];
  let reached = start;
  for (const [i, part] of ordered.entries()) {
    const begin = part.startTime as Timestamp;
    if (compareTimes(reached, begin) < 0)
      spans.push(operation(i === 0 ? `${what}_SETUP` : 'NODE_TRANSITION', reached, begin));
    spans.push(part);
    if (compareTimes(reached, part.endTime as Timestamp) < 0) reached = part.endTime as Timestamp;
  }
  if (compareTimes(reached, end) < 0) spans.push(operation(`${what}_TEARDOWN`, reached, end));
  return spans;
}

function operation(name: string, startTime: Timestamp | undefined, endTime: Timestamp): Span {
  return { id: { $case: 'operationId', value: name }, startTime, endTime, spans: [] };
}

function endOf({ updatedAt }: { updatedAt: Timestamp | undefined }): Timestamp | undefined {
  return updatedAt;
}

function plus(time: Timestamp, nanos: bigint): Timestamp {
  const total = nanosOf(time) + nanos;
  return { seconds: total / 1_000_000_000n, nanos: Number(total % 1_000_000_000n) };
}
