import { uptime } from 'node:os';
import type { Logger } from '@aloft/telemetry';
import type { Holder, Renewal, WorkStore } from './work-store.js';

export interface LeaseKeeperOptions {
  store: WorkStore;
  name: string;
  leaseMs: number;
  /** Other hosts take over what this one holds when its lease has ended: then nothing of it may run any more. */
  shared: boolean;
  logger: Logger;
  /** Seconds that go on while the process or the machine sleeps (default: `os.uptime`). */
  clock?: () => number;
  /** The lease is held until then, in seconds of the clock. */
  onHeld(until: number): void;
  /** After each renewal. */
  onRenewed(renewal: Renewal): void;
  onLost(state: 'fenced' | 'taken' | 'expired'): void;
}

/** Before and after the end of a lease: what its holder has to end its work, and what a taker waits beyond it. */
export const marginOf = (leaseMs: number): number => leaseMs / 10;

/**
 * A host's lease: renewed every third of its time. Counted from before each renewal was sent, by this machine's clock, it never
 * lasts longer here than the database thinks; a holder that could not renew in time knows that by itself.
 */
export class LeaseKeeper {
  private epoch = 0n;
  private until = -Infinity;
  private renewTimer: NodeJS.Timeout | undefined;
  private endTimer: NodeJS.Timeout | undefined;
  private renewing: Promise<void> | undefined;
  private stopped = false;
  private readonly clock: () => number;

  constructor(private readonly options: LeaseKeeperOptions) {
    this.clock = options.clock ?? uptime;
  }

  get holder(): Holder {
    return { name: this.options.name, epoch: this.epoch };
  }

  /** Always true where nobody takes over. */
  get isHeld(): boolean {
    return !this.options.shared || (!this.stopped && this.clock() < this.until);
  }

  async acquire(): Promise<void> {
    const sent = this.clock();
    this.epoch = await this.options.store.acquire(this.options.name, this.options.leaseMs);
    this.hold(sent);
  }

  start(): void {
    this.renewTimer = setInterval(() => void this.renew(), this.options.leaseMs / 3);
  }

  /** Out of turn, too: when there is reason to doubt. */
  renew(): Promise<void> {
    this.renewing ??= this.renewOnce().finally(() => (this.renewing = undefined));
    return this.renewing;
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.renewTimer);
    clearTimeout(this.endTimer);
  }

  private async renewOnce(): Promise<void> {
    const { store, leaseMs, logger, onLost, onRenewed } = this.options;
    if (this.stopped) return;
    // Held up (a paused process): it is too late, whatever the database says.
    if (!this.isHeld) return this.lose('expired');
    const sent = this.clock();
    try {
      const renewal = await store.renew(this.holder, leaseMs);
      if (this.stopped) return;
      if (renewal.state !== 'held') {
        this.stop();
        onLost(renewal.state);
        return;
      }
      if (!this.isHeld) return this.lose('expired');
      this.hold(sent);
      onRenewed(renewal);
    } catch (error) {
      logger.warn({ err: error }, 'the lease could not be renewed');
    }
  }

  private hold(sent: number): void {
    const { leaseMs, shared, onHeld } = this.options;
    if (!shared) return;
    this.until = sent + (leaseMs - marginOf(leaseMs)) / 1000;
    clearTimeout(this.endTimer);
    this.endTimer = setTimeout(() => this.look(), (this.until - this.clock()) * 1000);
    onHeld(this.until);
  }

  private look(): void {
    if (this.stopped) return;
    const left = (this.until - this.clock()) * 1000;
    if (left > 0) this.endTimer = setTimeout(() => this.look(), left + 1);
    else this.lose('expired');
  }

  private lose(state: 'expired'): void {
    if (this.stopped) return;
    this.stop();
    this.options.onLost(state);
  }
}
