import { toAloftError } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';

export interface Work {
  /** For messages. */
  readonly name: string;
  /** Does what is due; resolves with the milliseconds until there is more to do, `undefined` if nothing is known of. */
  run(signal: AbortSignal): Promise<number | undefined>;
}

const errorPauseMs = 5_000;

/** Does work when somebody wakes it, when something is due, and after a longest pause; one run at a time. */
export class WorkLoop {
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private again = false;

  constructor(
    private readonly work: Work,
    private readonly longestPauseMs: number,
    private readonly logger: Logger,
  ) {}

  wake(): void {
    if (this.controller.signal.aborted) return;
    this.again = true;
    if (this.running) return;
    clearTimeout(this.timer);
    this.running = this.run().finally(() => (this.running = undefined));
  }

  async stop(): Promise<void> {
    this.controller.abort();
    clearTimeout(this.timer);
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.controller;
    let next: number | undefined;
    while (this.again && !signal.aborted) {
      this.again = false;
      try {
        next = await this.work.run(signal);
      } catch (error) {
        next = errorPauseMs;
        if (!signal.aborted)
          this.logger.warn(
            { err: toAloftError(error) },
            `${this.work.name} wait: their work failed and is tried again`,
          );
      }
    }
    if (signal.aborted) return;
    this.timer = setTimeout(() => this.wake(), Math.min(next ?? this.longestPauseMs, this.longestPauseMs));
    this.timer.unref();
  }
}
