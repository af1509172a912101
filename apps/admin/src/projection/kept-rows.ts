import type { ProjectedNode, ProjectedTask } from './projection.repository.js';

/** Node and task rows of one run in memory, as they are stored. */
export interface RunRows {
  /** Last sequence that is in them. */
  sequence: bigint;
  /** The run has no others. */
  complete: boolean;
  /** By node id. */
  nodes: Map<string, ProjectedNode>;
  /** By {@link taskKeyOf}. */
  tasks: Map<string, ProjectedTask>;
}

export const noRows = (complete: boolean): RunRows => ({ sequence: 0n, complete, nodes: new Map(), tasks: new Map() });

/**
 * Rows that a batch wrote, kept for the next one's: most events are about nodes that were just written. Taken out while a batch
 * works on them, and put back when it is committed. That another process has written since (the lease went there and came back)
 * shows in the run's stored sequence, which is not theirs any more.
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
    this.runs.set(uid, rows);
    this.size += weightOf(rows);
    for (const [oldest, { sequence }] of this.runs) {
      if (this.size <= this.max) return;
      this.take(oldest, sequence);
    }
  }
}

const weightOf = ({ nodes, tasks }: RunRows): number => 1 + nodes.size + tasks.size;
