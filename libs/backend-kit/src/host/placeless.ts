import { WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { AttemptQueue } from '../capacity/attempt-queue.js';
import type { BackendPlugin, PhaseReport } from '../contract.js';
import type { AttemptEntry } from './attempt-entry.js';
import { placingOf } from './placing.js';

export interface PlacelessOptions {
  plugin: BackendPlugin;
  queue: Pick<AttemptQueue<AttemptEntry>, 'exceeds'>;
  report: (entry: AttemptEntry, report: PhaseReport) => void;
  /** Whether the attempt is still this host's, and waits. */
  waits: (entry: AttemptEntry) => boolean;
}

/** Attempts that have no place as things are, and wait for one outside of the queue. */
export class Placeless {
  private readonly held = new Set<AttemptEntry>();

  constructor(private readonly options: PlacelessOptions) {}

  /** Whether an attempt may go into the queue. If not, it was told why it waits or has ended. */
  admits(entry: AttemptEntry): boolean {
    if (!entry.placed && !this.place(entry)) return false;
    if (entry.obstacle === undefined) return true;
    this.held.add(entry);
    const reason = `Waiting for a place: ${entry.obstacle}`;
    if (entry.last?.reason !== reason)
      this.options.report(entry, {
        phase: TaskExecution_Phase.WAITING_FOR_RESOURCES,
        waitsFor: WaitReason_Kind.CAPACITY,
        reason,
      });
    return false;
  }

  /** Asks about all of them again; those that have a place now. */
  reconsider(): AttemptEntry[] {
    const placed: AttemptEntry[] = [];
    for (const entry of [...this.held]) {
      this.held.delete(entry);
      if (!this.options.waits(entry)) continue;
      entry.placed = false;
      if (this.admits(entry)) placed.push(entry);
    }
    return placed;
  }

  /** It is over, or somebody else's. */
  drop(entry: AttemptEntry): void {
    this.held.delete(entry);
  }

  private place(entry: AttemptEntry): boolean {
    const { end, ...placing } = placingOf(this.options.plugin, this.options.queue, entry.launch);
    if (end) {
      this.options.report(entry, end);
      return false;
    }
    entry.placed = true;
    entry.obstacle = 'obstacle' in placing ? placing.obstacle : undefined;
    return true;
  }
}
