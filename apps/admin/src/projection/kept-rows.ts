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
  /** Rows there were when it was last looked for some to shed. */
  looked: number;
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
 * has nodes under way.
 */
export class KeptRows {
  /** Oldest first. */
  private readonly runs = new Map<string, RunRows>();
  private size = 0;

  /** `max`: rows at most, of all runs. */
  constructor(private readonly max: number) {}

  /** The rows of a run as they are at that sequence, if they are here. */
  take(uid: string, sequence: bigint): RunRows | undefined {
    const rows = this.runs.get(uid);
    if (!rows) return undefined;
    this.runs.delete(uid);
    this.size -= weightOf(rows);
    return rows.sequence === sequence ? rows : undefined;
  }

  put(uid: string, rows: RunRows): void {
    this.take(uid, rows.sequence);
    shedEnded(rows);
    if (weightOf(rows) > this.max) shedAll(rows);
    this.runs.set(uid, rows);
    this.size += weightOf(rows);
    for (const [oldest, { sequence }] of this.runs) {
      if (this.size <= this.max) return;
      this.take(oldest, sequence);
    }
  }
}

/** Rows of a run below which none is looked for that could go. */
const small = 1000;

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
