import { setMaxListeners } from 'node:events';
import { toAloftError } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';

export interface Work {
  /** For messages, in the plural: `erasures`. */
  readonly name: string;
  /** Does what is due; resolves with the milliseconds until there is more to do, `undefined` if nothing is known of. */
  run(signal: AbortSignal): Promise<number | undefined>;
}

export interface WorkLoopOptions {
  logger: Logger;
  /** Milliseconds after which it runs again in any case: another replica may have died with work that it alone was woken for. */
  longestPauseMs?: number;
  /** Milliseconds until the next try when the work itself failed (its database is away). */
  errorPauseMs?: number;
}

/** Does work when somebody wakes it, when its next item is due, and after a longest pause; one run at a time. */
export class WorkLoop {
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private again = false;

  constructor(
    private readonly work: Work,
    private readonly options: WorkLoopOptions,
  ) {
    // As many calls as there is work at once end with it.
    setMaxListeners(0, this.controller.signal);
  }

  wake(): void {
    if (this.controller.signal.aborted) return;
    this.again = true;
    if (this.running) return;
    clearTimeout(this.timer);
    this.running = this.run().finally(() => {
      this.running = undefined;
      // Somebody may have asked for more since the loop looked.
      if (this.again) this.wake();
    });
  }

  /** Resolves when what runs has ended. */
  async stop(): Promise<void> {
    this.controller.abort();
    clearTimeout(this.timer);
    await this.running;
  }

  private async run(): Promise<void> {
    const { logger, longestPauseMs = 30_000, errorPauseMs = 2_000 } = this.options;
    const { signal } = this.controller;
    let next: number | undefined;
    while (this.again && !signal.aborted) {
      this.again = false;
      try {
        next = await this.work.run(signal);
      } catch (error) {
        next = errorPauseMs;
        if (!signal.aborted)
          logger.error(
            { err: toAloftError(error) },
            `${this.work.name} wait: the work on them failed and is tried again`,
          );
      }
    }
    if (signal.aborted) return;
    this.timer = setTimeout(() => this.wake(), Math.min(next ?? longestPauseMs, longestPauseMs));
    this.timer.unref();
  }
}
