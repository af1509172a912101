import { TaskReport } from '@aloft/idl/aloft/v1/bus';
import type { Logger } from '@aloft/telemetry';
import type { AttemptEntry } from './attempt-entry.js';
import { RetriedBatches } from './retried-batches.js';
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

/**
 * Where hosts share a backend, or its work is reached from anywhere, an end is written into the attempt's row before anybody hears of it:
 * whoever has the row afterwards tells the same end, and never starts what has ended. One statement for what gathers while another is under way.
 */
export class EndRecorder {
  private readonly batches: RetriedBatches<AttemptEntry>;
  private stopped = false;

  constructor(private readonly options: EndRecorderOptions) {
    this.batches = new RetriedBatches({
      write: (batch) => this.write(batch),
      onRetry: (error, attempts) => options.logger.warn({ err: error, attempts }, 'ends could not be written yet'),
    });
  }

  record(entry: AttemptEntry): void {
    if (!this.stopped) this.batches.add(entry);
  }

  /** Resolves when everything given until now is written, or `timeoutMs` have passed. */
  drain(timeoutMs: number): Promise<void> {
    return this.batches.drain(timeoutMs);
  }

  stop(): void {
    this.stopped = true;
    void this.batches.stop();
  }

  private async write(batch: readonly AttemptEntry[]): Promise<void> {
    const mine = await this.options.store.recordEnds(this.options.holder(), batch.map(endOf));
    if (this.stopped) return;
    for (const entry of batch)
      if (mine.has(entry.key)) this.options.onRecorded(entry);
      else this.options.onRefused(entry);
  }
}

const endOf = (entry: AttemptEntry) => ({
  key: entry.key,
  generation: entry.generation,
  report: TaskReport.encode(entry.last as TaskReport).finish(),
});
