import type { Execution } from '@aloft/idl/flyteidl/admin/execution';
import type { NodeExecution } from '@aloft/idl/flyteidl/admin/node_execution';
import type { TaskExecution } from '@aloft/idl/flyteidl/admin/task_execution';
import type { Span } from '@aloft/idl/flyteidl/core/metrics';
import type { Duration } from '@aloft/idl/google/protobuf/duration';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { isTerminalExecution, isTerminalNode, isTerminalTask } from '../projection/phases.js';
import { compareTimes, durationOfNanos, nanosOf } from '../time.js';
import { endNode, startNode } from './execution-answers.js';

/** A node execution and its place in the run. */
export interface SpanNode {
  execution: NodeExecution;
  /** Id of the node execution that it runs under; undefined for top-level nodes. */
  parent: string | undefined;
  /** Spec ids of the nodes beside it that it waited for; empty where nothing is known of them. */
  upstream: readonly string[];
  /** Waits for a decision, a signal or a time: what lies between its beginning and its end is nobody's work. */
  isGate: boolean;
}

/** A run with all that lies below it. */
export interface RunTree {
  execution: Execution;
  nodes: readonly SpanNode[];
  tasks: readonly TaskExecution[];
  /** Child runs by the node that started them. */
  children: ReadonlyMap<string, RunTree>;
}

interface Bounds {
  start: Timestamp;
  end: Timestamp;
}

/** As closures tell it. */
interface Timed {
  startedAt?: Timestamp | undefined;
  duration?: Duration | undefined;
}

/** Names of what lies between the parts of a span. */
interface Operations {
  setup: string;
  teardown: string;
}

const ofWorkflow: Operations = { setup: 'WORKFLOW_SETUP', teardown: 'WORKFLOW_TEARDOWN' };
const ofNode: Operations = { setup: 'NODE_SETUP', teardown: 'NODE_TEARDOWN' };
const transition = 'NODE_TRANSITION';

/**
 * Span tree of a run down to `depth` levels, with Flyte's names of operations (A-55). The parts of a span lie within it and cover it
 * wholly (S-32): what nodes and attempts leave is an operation of its own, so that where nothing runs side by side, the parts' durations add
 * up to the whole's. A part that reaches beyond its whole, by another clock, is cut there. What still runs ends at `now`.
 */
export function spansOfRun(run: RunTree, depth: number, now: Timestamp): Span {
  const start = run.execution.closure?.createdAt ?? now;
  const ended = isTerminalExecution(run.execution.closure?.phase ?? 0);
  const end = later(start, (ended ? run.execution.closure?.updatedAt : undefined) ?? now);
  return new RunSpans(run, now).whole(depth, { start, end });
}

class RunSpans {
  private readonly below = new Map<string | undefined, SpanNode[]>();
  private readonly tasks = new Map<string, TaskExecution[]>();

  constructor(
    private readonly run: RunTree,
    private readonly now: Timestamp,
  ) {
    for (const node of run.nodes) if (!isBoundary(node)) push(this.below, node.parent, node);
    for (const task of run.tasks) push(this.tasks, task.id?.nodeExecutionId?.nodeId ?? '', task);
  }

  whole(depth: number, bounds: Bounds): Span {
    const { id } = this.run.execution;
    const spans = depth > 0 ? filled(bounds, this.level(undefined, depth - 1, bounds), ofWorkflow) : [];
    return span(id ? { $case: 'workflowId', value: id } : undefined, bounds, spans);
  }

  /** The nodes under one, and before each the time since the last of those that it waited for. */
  private level(parent: string | undefined, depth: number, within: Bounds): Span[] {
    const nodes = this.below.get(parent) ?? [];
    const ends = new Map<string, Timestamp>();
    const bounds = new Map(nodes.map((node) => [node, this.boundsOf(node, within)]));
    for (const [{ execution }, { end }] of bounds) ends.set(execution.metadata?.specNodeId ?? '', end);
    return nodes.flatMap((node) => {
      const own = bounds.get(node) as Bounds;
      const waited = node.upstream.flatMap((id) => ends.get(id) ?? []);
      const from = waited.length > 0 ? waited.reduce(later) : own.start;
      const before = compareTimes(from, own.start) < 0 ? [operation(transition, from, own.start)] : [];
      return [...before, this.node(node, depth, own)];
    });
  }

  private boundsOf({ execution: { closure } }: SpanNode, within: Bounds): Bounds {
    return cut(closure?.createdAt, isTerminalNode(closure?.phase ?? 0) ? closure?.updatedAt : this.now, within);
  }

  private node(node: SpanNode, depth: number, bounds: Bounds): Span {
    const { id } = node.execution;
    return span(
      id ? { $case: 'nodeId', value: id } : undefined,
      bounds,
      depth > 0 ? this.inside(node, depth, bounds) : [],
    );
  }

  private inside(node: SpanNode, depth: number, bounds: Bounds): Span[] {
    const nodeId = node.execution.id?.nodeId ?? '';
    if (node.isGate) return idle(node.execution, bounds);
    const child = this.run.children.get(nodeId);
    const parts = [
      ...(this.tasks.get(nodeId) ?? []).map((task) => this.task(task, depth - 1, bounds)),
      ...this.level(nodeId, depth - 1, bounds),
      ...(child ? [this.child(child, depth - 1, bounds)] : []),
    ];
    return filled(bounds, parts, ofNode);
  }

  private child(run: RunTree, depth: number, within: Bounds): Span {
    const { closure } = run.execution;
    const end = isTerminalExecution(closure?.phase ?? 0) ? closure?.updatedAt : this.now;
    return new RunSpans(run, this.now).whole(depth, cut(closure?.createdAt, end, within));
  }

  private task({ id, closure }: TaskExecution, depth: number, within: Bounds): Span {
    const ended = isTerminalTask(closure?.phase ?? 0);
    const bounds = cut(closure?.createdAt, ended ? closure?.updatedAt : this.now, within);
    const spans = depth > 0 ? phases(closure ?? {}, bounds, ['TASK_SETUP', 'TASK_RUNTIME', 'TASK_TEARDOWN']) : [];
    return span(id ? { $case: 'taskId', value: id } : undefined, bounds, spans);
  }
}

function idle({ closure }: NodeExecution, bounds: Bounds): Span[] {
  return phases(closure ?? {}, bounds, [ofNode.setup, 'NODE_IDLE', ofNode.teardown]);
}

/** Before it began, while it ran, and after; those that took no time are left out, unless all of it took none. */
function phases(
  { startedAt, duration }: Timed,
  { start, end }: Bounds,
  [before, during, after]: readonly [string, string, string],
): Span[] {
  if (!startedAt) return [operation(before, start, end)];
  const begun = clamp(startedAt, { start, end });
  const over = duration ? clamp(plus(startedAt, nanosOf(duration)), { start: begun, end }) : end;
  const spans = [operation(before, start, begun), operation(during, begun, over), operation(after, over, end)];
  return spans.filter(({ startTime, endTime, id }) => id?.value === during || compareTimes(startTime!, endTime!) < 0);
}

/** Fills what comes before the first part, between parts that leave a gap, and after the last; without parts, all is setup. */
function filled({ start, end }: Bounds, parts: readonly Span[], { setup, teardown }: Operations): Span[] {
  if (parts.length === 0) return [operation(setup, start, end)];
  const ordered = [...parts].sort((a, b) => compareTimes(a.startTime!, b.startTime!));
  const spans: Span[] = [];
  let reached = start;
  let last: Span | undefined;
  for (const part of ordered) {
    if (compareTimes(reached, part.startTime!) < 0) {
      // After an attempt: another one, or what it generated.
      const between = last?.id?.$case === 'taskId' ? 'NODE_RESET' : transition;
      spans.push(operation(last ? between : setup, reached, part.startTime!));
    }
    spans.push(part);
    if (!last || compareTimes(reached, part.endTime!) <= 0) last = part;
    reached = later(reached, part.endTime!);
  }
  if (compareTimes(reached, end) < 0) spans.push(operation(teardown, reached, end));
  return spans;
}

function isBoundary({ execution }: SpanNode): boolean {
  const name = execution.metadata?.specNodeId ?? '';
  return name === startNode || name === endNode;
}

function cut(start: Timestamp | undefined, end: Timestamp | undefined, within: Bounds): Bounds {
  const from = clamp(start ?? within.start, within);
  return { start: from, end: clamp(end ?? within.end, { start: from, end: within.end }) };
}

function clamp(time: Timestamp, { start, end }: Bounds): Timestamp {
  if (compareTimes(time, start) < 0) return start;
  return compareTimes(time, end) > 0 ? end : time;
}

const later = (a: Timestamp, b: Timestamp): Timestamp => (compareTimes(a, b) < 0 ? b : a);
const plus = (time: Timestamp, nanos: bigint): Timestamp => durationOfNanos(nanosOf(time) + nanos);

function span(id: Span['id'], { start, end }: Bounds, spans: Span[]): Span {
  return { id, startTime: start, endTime: end, spans };
}

function operation(name: string, startTime: Timestamp, endTime: Timestamp): Span {
  return { id: { $case: 'operationId', value: name }, startTime, endTime, spans: [] };
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}
