import type { Bus, OutgoingMessage } from '@aloft/bus';
import type { Logger } from '@aloft/telemetry';

export interface ReportSenderOptions {
  bus: Pick<Bus, 'deliver'>;
  logger: Logger;
  /** Messages and bytes in one delivery at most. */
  maxBatch?: number;
  maxBatchBytes?: number;
  /** Deliveries under way at once. */
  maxInFlight?: number;
  /** Milliseconds that a report that isn't the last one may wait for a newer one to replace it. */
  coalesceMs?: number;
  /** Milliseconds without an acknowledgement after which a delivery counts as lost. */
  timeoutMs?: number;
  /** First and longest pause, in milliseconds, before something is delivered again. */
  backoffMs?: { first: number; longest: number };
}

interface Outgoing {
  message: OutgoingMessage;
  /** Nothing comes after it. */
  last: boolean;
  onAcknowledged: () => void;
}

interface Line {
  next: Outgoing | undefined;
  sending: Outgoing | undefined;
  failures: number;
  /** Not before this time (`Date.now()`): after a failure, or because a newer report may come. */
  notBefore: number;
}

/**
 * Brings reports to the propeller: per attempt one at a time and in order, the newest replacing those that were not sent yet,
 * each repeated with growing pauses until a commit has acknowledged it. Re-derivable, so nothing here is durable.
 */
export class ReportSender {
  private readonly lines = new Map<string, Line>();
  /** Lines that have something to send and may send it. */
  private readonly due = new Set<string>();
  private inFlight = 0;
  private soon = false;
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Infinity;
  private stopped = false;
  private idle: (() => void)[] = [];
  private readonly options: Required<ReportSenderOptions>;

  constructor(options: ReportSenderOptions) {
    this.options = {
      maxBatch: 500,
      maxBatchBytes: 2 ** 20,
      maxInFlight: 8,
      coalesceMs: 15,
      timeoutMs: 15_000,
      backoffMs: { first: 50, longest: 5_000 },
      ...options,
    };
  }

  /** Reports of one attempt (`key`) in the order of the calls; `onAcknowledged` is called for those that were not replaced. */
  send(key: string, message: OutgoingMessage, last: boolean, onAcknowledged: () => void = () => undefined): void {
    const line = this.lines.get(key) ?? { next: undefined, sending: undefined, failures: 0, notBefore: 0 };
    this.lines.set(key, line);
    const now = Date.now();
    // The first report that could be replaced starts the wait; those after it don't prolong it.
    if (line.failures === 0) line.notBefore = last ? 0 : line.next ? line.notBefore : now + this.options.coalesceMs;
    line.next = { message, last, onAcknowledged };
    if (line.sending) return;
    this.due.add(key);
    if (line.notBefore <= now) this.flushSoon();
    else this.flushBy(line.notBefore);
  }

  /** Takes back what wasn't sent yet (a newer generation took the attempt over). */
  forget(key: string): void {
    const line = this.lines.get(key);
    if (!line) return;
    line.next = undefined;
    this.due.delete(key);
    if (!line.sending) this.lines.delete(key);
  }

  get pending(): number {
    return this.lines.size;
  }

  /** Resolves when everything given until now is acknowledged, or `timeoutMs` have passed. */
  async drain(timeoutMs: number): Promise<void> {
    if (this.lines.size === 0) return;
    this.flushSoon();
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      new Promise<void>((resolve) => this.idle.push(resolve)),
      new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs))),
    ]);
    clearTimeout(timer);
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.lines.clear();
    this.due.clear();
  }

  private flushSoon(): void {
    if (this.soon || this.stopped) return;
    this.soon = true;
    setImmediate(() => {
      this.soon = false;
      this.flush();
    });
  }

  private flushBy(at: number): void {
    if (this.stopped || this.timerAt <= at) return;
    clearTimeout(this.timer);
    this.timerAt = at;
    this.timer = setTimeout(
      () => {
        this.timerAt = Infinity;
        this.flush();
      },
      Math.max(0, at - Date.now()),
    );
  }

  private flush(): void {
    const { maxBatch, maxBatchBytes, maxInFlight } = this.options;
    const now = Date.now();
    let later = Infinity;
    let batch: string[] = [];
    let bytes = 0;
    const close = () => {
      if (batch.length > 0) this.deliver(batch);
      batch = [];
      bytes = 0;
    };
    for (const key of this.due) {
      const line = this.lines.get(key);
      if (!line?.next) {
        this.due.delete(key);
        continue;
      }
      if (line.notBefore > now) {
        later = Math.min(later, line.notBefore);
        continue;
      }
      if (this.inFlight >= maxInFlight) break;
      const size = line.next.message.envelope.payload.length + 512;
      if (batch.length >= maxBatch || (batch.length > 0 && bytes + size > maxBatchBytes)) {
        close();
        if (this.inFlight >= maxInFlight) break;
      }
      this.due.delete(key);
      line.sending = line.next;
      line.next = undefined;
      batch.push(key);
      bytes += size;
    }
    close();
    if (later < Infinity) this.flushBy(later);
  }

  private deliver(keys: string[]): void {
    this.inFlight++;
    const messages = keys.map((key) => (this.lines.get(key)?.sending as Outgoing).message);
    let settled = false;
    const settle = (error: unknown) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      this.inFlight--;
      if (this.stopped) return;
      if (error === undefined) this.acknowledged(keys);
      else this.failed(keys, error);
    };
    const timer = setTimeout(
      () => settle(new Error(`no acknowledgement within ${this.options.timeoutMs} ms`)),
      this.options.timeoutMs,
    ).unref();
    this.options.bus.deliver(messages).then(
      () => settle(undefined),
      (error: unknown) => settle(error ?? new Error('rejected without a reason')),
    );
  }

  private acknowledged(keys: readonly string[]): void {
    for (const key of keys) {
      const line = this.lines.get(key);
      if (!line?.sending) continue;
      const { onAcknowledged } = line.sending;
      line.sending = undefined;
      line.failures = 0;
      if (line.next) this.due.add(key);
      else this.lines.delete(key);
      onAcknowledged();
    }
    if (this.due.size > 0) this.flushSoon();
    if (this.lines.size === 0) for (const resolve of this.idle.splice(0)) resolve();
  }

  private failed(keys: readonly string[], error: unknown): void {
    const { first, longest } = this.options.backoffMs;
    let soonest = Infinity;
    let most = 0;
    for (const key of keys) {
      const line = this.lines.get(key);
      if (!line?.sending) continue;
      line.next ??= line.sending;
      line.sending = undefined;
      const pause = Math.min(longest, first * 2 ** line.failures++) * (0.75 + Math.random() / 2);
      line.notBefore = Date.now() + pause;
      soonest = Math.min(soonest, line.notBefore);
      most = Math.max(most, line.failures);
      this.due.add(key);
    }
    this.options.logger.warn(
      { err: error, reports: keys.length, failures: most },
      'reports were not taken; they are sent again',
    );
    if (soonest < Infinity) this.flushBy(soonest);
    this.flushSoon();
  }
}
