import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { isTerminalNode } from './phases.js';
import type { ProjectedNode, ProjectedTask } from './projection.repository.js';

/** Node and task rows of one run in memory, as they are stored. */
export interface RunRows {
  /** Last sequence that is in them. */
  sequence: bigint;
  /** The run has no others but those of {@link shed}. */
  complete: boolean;
  /** By node id. */
  nodes: Map<string, ProjectedNode>;
  /** By {@link taskKeyOf}. */
  tasks: Map<string, ProjectedTask>;
  /** Nodes that are over and whose rows, with their tasks', are stored but not here any more. */
  shed: Set<string>;
  /** Rows there were when all were last looked through for some to shed. */
  looked: number;
}

/** Of {@link RunRows.tasks}. */
export function taskKeyOf(
  nodeId: string,
  attempt: number,
  { org, project, domain, name, version }: Identifier,
): string {
  return `${nodeId}\n${attempt}\n${org}\n${project}\n${domain}\n${name}\n${version}`;
}

/** What a batch wrote of a run. */
export interface Written {
  nodes: Iterable<ProjectedNode>;
  tasks: Iterable<ProjectedTask>;
}

export const noRows = (complete: boolean): RunRows => ({
  sequence: 0n,
  complete,
  nodes: new Map(),
  tasks: new Map(),
  shed: new Set(),
  looked: 0,
});

/** Whether the row of that node, and those of its tasks, would have to be read if they are not here. */
export const mayBeStored = ({ complete, shed }: RunRows, nodeId: string): boolean => !complete || shed.has(nodeId);

/**
 * Rows that a batch wrote, kept for the next one's: most events are about nodes that were just written. Taken out while a batch
 * works on them, and put back when it is committed. That another process has written since (the lease went there and came back)
 * shows in the run's stored sequence, which is not theirs any more.
 *
 * Of a large run, nodes that are over leave: hardly anything is told of them any more, and a run of any size keeps as many rows as it
 * has nodes under way. So do runs of which nothing was told for a while: those that wait are many.
 */
export class KeptRows {
  /** Oldest first. */
  private readonly runs = new Map<string, { rows: RunRows; since: number }>();
  private size = 0;
  private sweeping: NodeJS.Timeout | undefined;

  /** `max`: rows at most, of all runs. `idleMs`: how long those of a run stay of which nothing is told. */
  constructor(
    private readonly max: number,
    private readonly idleMs = 10_000,
  ) {}

  /** The rows of a run as they are at that sequence, if they are here. */
  take(uid: string, sequence: bigint): RunRows | undefined {
    const rows = this.drop(uid);
    return rows?.sequence === sequence ? rows : undefined;
  }

  put(uid: string, rows: RunRows, written: Written): void {
    this.drop(uid);
    shedWritten(rows, written);
    shedEnded(rows);
    if (weightOf(rows) > this.max) shedAll(rows);
    this.runs.set(uid, { rows, since: Date.now() });
    this.size += weightOf(rows);
    for (const oldest of this.runs.keys()) {
      if (this.size <= this.max) break;
      this.drop(oldest);
    }
    this.sweeping ??= setTimeout(() => this.sweep(), this.idleMs).unref();
  }

  private sweep(): void {
    this.sweeping = undefined;
    const now = Date.now();
    for (const [oldest, { since }] of this.runs) {
      const left = since + this.idleMs - now;
      if (left > 0) {
        this.sweeping = setTimeout(() => this.sweep(), left).unref();
        return;
      }
      this.drop(oldest);
    }
  }

  private drop(uid: string): RunRows | undefined {
    const kept = this.runs.get(uid);
    if (!kept) return undefined;
    this.runs.delete(uid);
    this.size -= weightOf(kept.rows);
    return kept.rows;
  }
}

/** Rows of a run below which none is looked for that could go. */
const small = 1000;

/** Of what a batch wrote, what is over: most of a large run's rows go with the batch that ends them. */
function shedWritten(rows: RunRows, written: Written): void {
  const { nodes, tasks, shed } = rows;
  if (nodes.size + tasks.size < small) return;
  for (const { state } of written.nodes) {
    if (!isTerminalNode(state.closure.phase)) continue;
    nodes.delete(state.nodeId);
    shed.add(state.nodeId);
  }
  for (const { state } of written.tasks)
    if (shed.has(state.nodeId)) tasks.delete(taskKeyOf(state.nodeId, state.retryAttempt, state.task));
}

/** Looks through the rows when there are twice as many as the last time left: every row is looked at a few times, however many there are. */
function shedEnded(rows: RunRows): void {
  const { nodes, tasks, shed } = rows;
  if (nodes.size + tasks.size < Math.max(small, 2 * rows.looked)) return;
  for (const [nodeId, { state }] of nodes) {
    if (!isTerminalNode(state.closure.phase)) continue;
    nodes.delete(nodeId);
    shed.add(nodeId);
  }
  for (const [key, { state }] of tasks) if (shed.has(state.nodeId)) tasks.delete(key);
  rows.looked = nodes.size + tasks.size;
}

/** Too many are under way at once: those are read again when something is told of them, what begins is still known to be new. */
function shedAll(rows: RunRows): void {
  const { nodes, tasks, shed } = rows;
  for (const nodeId of nodes.keys()) shed.add(nodeId);
  for (const { state } of tasks.values()) shed.add(state.nodeId);
  nodes.clear();
  tasks.clear();
  rows.looked = 0;
}

/** An id alone takes a small part of what a row does. */
const idsAsOneRow = 32;

const weightOf = ({ nodes, tasks, shed }: RunRows): number =>
  1 + nodes.size + tasks.size + Math.floor(shed.size / idsAsOneRow);
