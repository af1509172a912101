import { TaskReport } from '@aloft/idl/aloft/v1/bus';
import type { Logger } from '@aloft/telemetry';
import type { AttemptEntry } from './attempt-entry.js';
import type { Holder, WorkStore } from './work-store.js';

export interface EndRecorderOptions {
  store: WorkStore;
  holder: () => Holder;
  logger: Logger;
  /** It is written: it may be told. */
  onRecorded(entry: AttemptEntry): void;
  /** The attempt is not this host's (any more): its end means nothing. */
  onRefused(entry: AttemptEntry): void;
}

const maxBatch = 500;

/**
 * Where hosts share a backend, an end is written into the attempt's row before anybody hears of it: whoever takes the row
 * over tells the same end, and never starts what has ended. One statement for what gathers while another is under way.
 */
export class EndRecorder {
  private pending: AttemptEntry[] = [];
  private running: Promise<void> | undefined;
  private stopped = false;
  private wake: (() => void) | undefined;

  constructor(private readonly options: EndRecorderOptions) {}

  record(entry: AttemptEntry): void {
    if (this.stopped) return;
    this.pending.push(entry);
    this.running ??= this.run().finally(() => (this.running = undefined));
  }

  /** Resolves when everything given until now is written, or `timeoutMs` have passed. */
  async drain(timeoutMs: number): Promise<void> {
    if (!this.running) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([this.running, new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)))]);
    clearTimeout(timer);
  }

  stop(): void {
    this.stopped = true;
    this.pending = [];
    this.wake?.();
  }

  private async run(): Promise<void> {
    // What ends in the same turn goes together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (let pause = 50; this.pending.length > 0;) {
      const batch = this.pending.splice(0, maxBatch);
      try {
        const mine = await this.options.store.recordEnds(this.options.holder(), batch.map(endOf));
        pause = 50;
        if (this.stopped) return;
        for (const entry of batch)
          if (mine.has(entry.key)) this.options.onRecorded(entry);
          else this.options.onRefused(entry);
      } catch (error) {
        if (this.stopped) return;
        this.options.logger.warn({ err: error, attempts: batch.length }, 'ends could not be written yet');
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

const endOf = (entry: AttemptEntry) => ({
  key: entry.key,
  generation: entry.generation,
  report: TaskReport.encode(entry.last as TaskReport).finish(),
});
