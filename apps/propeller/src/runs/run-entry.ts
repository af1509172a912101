import type { Graph, Request, Run } from '@aloft/engine';
import type { AloftError } from '@aloft/errors';
import type { RunIdentity } from '../events/run-identity.js';
import type { PendingInput } from '../inputs/pending-input.js';
import { RunTimes } from '../trace/run-times.js';

/**
 * `loading`: its row, log or a graph is on its way; inputs wait. `ready`: in memory. `quarantined`: the engine failed on it, its
 * messages are parked. `ended`: only its tombstone is left. `unknown`: there is no such run.
 */
export type RunState = 'loading' | 'ready' | 'quarantined' | 'ended' | 'unknown';

/** One run in the memory of this process. Everything here is ahead of the database by at most the commits in flight. */
export class RunEntry {
  state: RunState = 'loading';
  run: Run | undefined;
  identity: RunIdentity | undefined;
  /** Waiting until the run is loaded, in order of arrival. */
  readonly queue: PendingInput[] = [];
  /** Sequence of the next entry of its log, from 1. */
  nextSeq = 1n;
  /** Bytes of log since the last snapshot, and the size of that one: together they say when the next is due. */
  logBytes = 0;
  snapshotBytes = 0;
  /** Asked and not answered; a run with such stays in memory. */
  readonly open = new Map<bigint, Request['ask']>();
  /** Of those, the ones that are being performed. */
  readonly asked = new Set<bigint>();
  /** Restored and not yet taken up: its open requests have to be asked again. */
  fresh = false;
  /** Keeps the graphs that its state refers to out of reach of the cache's eviction. */
  readonly graphs = new Map<string, Graph>();
  /** Where their closures lie. */
  readonly graphUris = new Map<string, string>();
  /** What the row says: `attention` is set once and taken back only when the run leaves memory. */
  attention = false;
  phase = 0;
  quarantine: string | undefined;
  /** Milliseconds since the epoch. */
  lastUsed = 0;
  /** For metrics and traces. */
  readonly times = new RunTimes();
  /** Commits on their way that contain something of it. */
  uncommitted = 0;
  /** Its history is being written. */
  archiving = false;

  /** It begins here: its row is made with its first entry. */
  begun = false;
  /** Why it could not be loaded. */
  failure: AloftError | undefined;
  /** It is to be applied to again although it was quarantined. */
  releasing = false;
  /** Known once it is loaded or begun. */
  partition = -1;

  constructor(readonly uid: string) {}

  /** It has ended, and all of that is durable: what it was made of may go while its history is written. */
  letGo(): void {
    if (this.open.size > 0) return;
    this.state = 'ended';
    this.run = undefined;
    this.graphs.clear();
    this.graphUris.clear();
  }

  get idle(): boolean {
    return (
      this.uncommitted === 0 &&
      this.queue.length === 0 &&
      this.open.size === 0 &&
      !this.archiving &&
      this.state !== 'loading'
    );
  }
}
