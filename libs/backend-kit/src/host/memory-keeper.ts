import { AloftError, invalidArgument, unavailable } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import type { AttemptEntry } from './attempt-entry.js';
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

const maxBatch = 500;
const maxBytes = 64 * 1024;

/**
 * Writes what plugins want remembered into the rows of their attempts, one statement for what gathers while another is under way. It is tried
 * again for as long as the database is away: a plugin that cannot write down what it made must not go on.
 */
export class MemoryKeeper {
  private pending: Pending[] = [];
  private running: Promise<void> | undefined;
  private stopped = false;
  private wake: (() => void) | undefined;

  constructor(private readonly options: MemoryKeeperOptions) {}

  /** Resolves when it is durable. @throws ABORTED where the attempt is another host's, UNAVAILABLE when this host stops */
  async remember(entry: AttemptEntry, state: Uint8Array): Promise<void> {
    if (state.length > maxBytes)
      throw invalidArgument(`${state.length} bytes to be remembered of ${entry.key}; at most ${maxBytes} are allowed`);
    // Where launch and commit overlap, its row may still be on its way.
    if (!entry.stored && !entry.closed) await new Promise<void>((resolve) => entry.whenSettled.push(resolve));
    if (entry.closed) throw notHeld(entry);
    await new Promise<void>((resolve, reject) => {
      if (this.stopped) return reject(stopping());
      this.pending.push({ entry, state, resolve, reject });
      this.running ??= this.run().finally(() => (this.running = undefined));
    });
    entry.remembered = state;
  }

  stop(): void {
    this.stopped = true;
    for (const { reject } of this.pending.splice(0)) reject(stopping());
    this.wake?.();
  }

  private async run(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (let pause = 50; this.pending.length > 0;) {
      const batch = this.pending.splice(0, maxBatch);
      // Of one attempt the last counts.
      const last = new Map(batch.map((pending) => [pending.entry.key, pending]));
      try {
        const memories = [...last.values()].map(({ entry: { key, generation }, state }) => ({
          key,
          generation,
          state,
        }));
        const mine = await this.options.store.remember(this.options.holder(), memories);
        pause = 50;
        for (const { entry, resolve, reject } of batch)
          if (mine.has(entry.key)) resolve();
          else reject(notHeld(entry));
      } catch (error) {
        if (this.stopped) {
          for (const { reject } of batch) reject(stopping());
          return;
        }
        this.options.logger.warn(
          { err: error, attempts: batch.length },
          'how work is found again cannot be written yet',
        );
        this.pending.unshift(...batch);
        await this.rest(pause);
        pause = Math.min(2_000, pause * 2);
      }
    }
  }

  private async rest(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }
}

const notHeld = (entry: AttemptEntry) =>
  new AloftError('ABORTED', `${entry.key} is not held here any more: nothing is written down for it`);
const stopping = () => unavailable('this host stops: nothing is written down any more');
