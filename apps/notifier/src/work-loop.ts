import { setMaxListeners } from 'node:events';
import { toAloftError } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';

export interface Work {
  /** Does what is due; resolves with the milliseconds until there is more to do, `undefined` if nothing is planned. */
  run(signal: AbortSignal): Promise<number | undefined>;
}

/** Another replica may have died with work that it alone was woken for. */
const sweepMs = 30_000;

/** Runs work when somebody wakes it, when its next item is due, and now and then; one run at a time. */
export class WorkLoop {
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private again = false;

  /** `errorDelayMs`: until the next try when the work itself failed (its database is away). */
  constructor(
    private readonly work: Work,
    private readonly logger: Logger,
    private readonly errorDelayMs = 2_000,
  ) {
    // As many calls as there is work at once end with it.
    setMaxListeners(0, this.controller.signal);
  }

  wake(): void {
    if (this.controller.signal.aborted) return;
    if (this.running) {
      this.again = true;
      return;
    }
    clearTimeout(this.timer);
    this.running = this.run().finally(() => (this.running = undefined));
  }

  /** Resolves when what runs has ended. */
  async stop(): Promise<void> {
    this.controller.abort();
    clearTimeout(this.timer);
    await this.running;
  }

  private async run(): Promise<void> {
    let next: number | undefined;
    do {
      this.again = false;
      try {
        next = await this.work.run(this.controller.signal);
      } catch (error) {
        this.logger.error(
          { err: toAloftError(error) },
          'notifications wait: the work on them failed and is tried again',
        );
        next = this.errorDelayMs;
      }
    } while (this.again && !this.controller.signal.aborted);
    if (this.controller.signal.aborted) return;
    this.timer = setTimeout(() => this.wake(), Math.min(next ?? sweepMs, sweepMs));
    this.timer.unref();
  }
}

/** Doubling from the first delay to the longest, a fifth up or down so that many do not come back at once. */
export function backoff(attempt: number, firstMs: number, maxMs: number, random = Math.random): number {
  return Math.min(firstMs * 2 ** Math.min(attempt - 1, 30), maxMs) * (0.8 + 0.4 * random());
}
