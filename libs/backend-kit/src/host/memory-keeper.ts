import { AloftError, invalidArgument, unavailable } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import type { AttemptEntry } from './attempt-entry.js';
import { RetriedBatches } from './retried-batches.js';
import type { Holder, WorkStore } from './work-store.js';

export interface MemoryKeeperOptions {
  store: WorkStore;
  holder: () => Holder;
  logger: Logger;
}

interface Pending {
  entry: AttemptEntry;
  state: Uint8Array;
  resolve(): void;
  reject(error: Error): void;
}

const maxBytes = 64 * 1024;

/**
 * Writes what plugins want remembered into the rows of their attempts, one statement for what gathers while another is under way. It is tried
 * again for as long as the database is away: a plugin that cannot write down what it made must not go on.
 */
export class MemoryKeeper {
  private readonly batches: RetriedBatches<Pending>;
  private stopped = false;

  constructor(private readonly options: MemoryKeeperOptions) {
    this.batches = new RetriedBatches({
      write: (batch) => this.write(batch),
      onRetry: (error, attempts) =>
        options.logger.warn({ err: error, attempts }, 'how work is found again cannot be written yet'),
    });
  }

  /** Resolves when it is durable. @throws ABORTED where the attempt is another host's, UNAVAILABLE when this host stops */
  async remember(entry: AttemptEntry, state: Uint8Array): Promise<void> {
    if (state.length > maxBytes)
      throw invalidArgument(`${state.length} bytes to be remembered of ${entry.key}; at most ${maxBytes} are allowed`);
    // Where launch and commit overlap, its row may still be on its way.
    if (!entry.stored && !entry.closed) await new Promise<void>((resolve) => entry.whenSettled.push(resolve));
    if (entry.closed) throw notHeld(entry);
    if (this.stopped) throw stopping();
    await new Promise<void>((resolve, reject) => this.batches.add({ entry, state, resolve, reject }));
    entry.remembered = state;
  }

  stop(): void {
    this.stopped = true;
    void this.batches.stop().then((left) => {
      for (const { reject } of left) reject(stopping());
    });
  }

  private async write(batch: readonly Pending[]): Promise<void> {
    // Of one attempt the last counts.
    const last = new Map(batch.map((pending) => [pending.entry.key, pending]));
    const memories = [...last.values()].map(({ entry: { key, generation }, state }) => ({ key, generation, state }));
    const mine = await this.options.store.remember(this.options.holder(), memories);
    for (const { entry, resolve, reject } of batch)
      if (mine.has(entry.key)) resolve();
      else reject(notHeld(entry));
  }
}

const notHeld = (entry: AttemptEntry) =>
  new AloftError('ABORTED', `${entry.key} is not held here any more: nothing is written down for it`);
const stopping = () => unavailable('this host stops: nothing is written down any more');
