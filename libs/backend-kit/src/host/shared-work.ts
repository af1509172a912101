import type { Logger } from '@aloft/telemetry';
import type { BackendPlugin } from '../contract.js';
import type { AttemptEntry } from './attempt-entry.js';
import type { Attempts } from './attempts.js';
import { launchIn } from './command.js';
import type { HostChannel, HostMessage } from './host-channel.js';
import { type LeaseKeeper, marginOf } from './lease-keeper.js';
import { WaitingExchange } from './waiting-exchange.js';
import type { FinishedBatch, Renewal, WorkRow, WorkStore } from './work-store.js';

export interface SharedWorkOptions {
  plugin: BackendPlugin;
  store: WorkStore;
  channel: HostChannel;
  leaseMs: number;
  logger: Logger;
  attempts: Attempts;
  lease: LeaseKeeper;
  isRunning: () => boolean;
  /** Rows are this host's now; `again`: none of their work runs anywhere. */
  takeIn: (rows: readonly WorkRow[], again: boolean) => Promise<void>;
  takeFinished: (batches: readonly FinishedBatch[]) => void;
}

/** What hosts of one backend do for each other: take over, hand over, end what moved, share what waits. */
export class SharedWork {
  takeOvers = 0;
  given = 0;
  private readonly exchange: WaitingExchange;
  private readonly endWaiters = new Map<string, { resolve: () => void; other: string }>();
  private takeTimer: NodeJS.Timeout | undefined;
  private taking: Promise<void> = Promise.resolve();
  private ending: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(private readonly options: SharedWorkOptions) {
    const { attempts, lease, isRunning } = options;
    this.exchange = new WaitingExchange({
      ...options,
      queue: attempts.queue,
      holder: () => lease.holder,
      isOpen: () => isRunning() && lease.isHeld,
      onGiven: () => void this.compare(),
      onMoved: (entry) => {
        this.given++;
        attempts.drop(entry);
      },
      onKept: (entry) => {
        const { abortReason } = entry;
        entry.abortReason = undefined;
        if (abortReason !== undefined) attempts.abort(entry, abortReason);
        else attempts.startWhatFits();
      },
    });
  }

  private get name(): string {
    return this.options.lease.holder.name;
  }

  private get isOpen(): boolean {
    return !this.stopped && this.options.isRunning() && this.options.lease.isHeld;
  }

  async start(): Promise<void> {
    await this.options.channel.open((note) => this.hear(note));
    void this.options.channel.tell({ kind: 'hello' });
    await this.take();
    void this.endSuperseded();
    // Learns soon when the others' leases end.
    void this.options.lease.renew();
  }

  changed(): void {
    this.exchange.changed();
  }

  tellOfAborts(hosts: readonly string[]): void {
    for (const to of hosts) void this.options.channel.tell({ kind: 'aborts', to });
  }

  /** An older generation runs on another host: this one starts when that is surely over. */
  waitFor(entry: AttemptEntry, other: string): void {
    const earlier = entry.after;
    const over = new Promise<void>((resolve) => this.endWaiters.set(entry.key, { resolve, other }));
    entry.after = Promise.all([earlier, over]).then(() => undefined);
    void this.options.channel.tell({ kind: 'superseded', to: other });
    void this.lookForEnded();
  }

  /** After each renewal: whatever a note may have failed to tell. */
  async review(renewal: Renewal): Promise<void> {
    const { leaseMs } = this.options;
    clearTimeout(this.takeTimer);
    if (renewal.nextEndMs !== undefined)
      // When the next lease ends, in case it isn't renewed until then; not all at once.
      this.takeTimer = setTimeout(
        () => void this.take(),
        Math.max(0, renewal.nextEndMs + marginOf(leaseMs)) + 1 + Math.random() * Math.min(50, leaseMs / 50),
      );
    if (renewal.unheld) void this.take();
    await this.compare();
    this.dropUncommitted();
    await this.endSuperseded();
    await this.lookForEnded();
    this.exchange.repeat();
  }

  /** Running work gets so long to end, waiting work goes to others at once; what still runs then is ended and goes, too. */
  async drain(drainMs: number): Promise<void> {
    const { attempts, plugin, logger } = this.options;
    await this.exchange.stop();
    const anywhere = plugin.reach === 'anywhere';
    const leaving = [...attempts.entries.values()].filter(
      (entry) =>
        entry.stored &&
        entry.abortReason === undefined &&
        (entry.state === 'waiting' || (entry.state === 'active' && (anywhere || this.isBetweenStarts(entry)))),
    );
    await this.handOver(leaving);
    await this.untilIdle(drainMs);
    const rest = attempts.active.filter((entry) => entry.abortReason === undefined);
    if (rest.length > 0)
      logger.info({ attempts: rest.length, drainMs }, 'work is ended here, for other hosts to begin it anew');
    const ended = await Promise.all(
      rest.map(async (entry) => {
        entry.handingOver = true;
        try {
          await attempts.endWork(entry, 'its host stops');
          return entry.state === 'active' ? [entry] : [];
        } catch (error) {
          // It stays this host's, and is taken when the lease ends.
          logger.error({ err: error, key: entry.key }, 'an attempt could not be ended for another host');
          return [];
        }
      }),
    );
    await this.handOver(ended.flat());
  }

  /** Whatever is left: ends not yet acknowledged, rows that are over. */
  async leave(): Promise<void> {
    const { store, lease, channel, attempts, logger } = this.options;
    try {
      // Not what may still run here.
      const running = new Set(attempts.active.map(({ key }) => key));
      if (running.size === 0) await store.handOver(lease.holder);
      await store.release(lease.holder, running.size === 0);
      await channel.tell({ kind: 'released' });
    } catch (error) {
      logger.warn({ err: error }, 'what is left could not be handed over; it is taken when the lease ends');
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.takeTimer);
    await this.exchange.stop();
    await this.taking;
    await this.ending;
    await this.options.channel.close();
  }

  private hear(note: HostMessage): void {
    if (this.stopped) return;
    switch (note.kind) {
      case 'aborts':
        void this.lookForAborts();
        return;
      case 'superseded':
        void this.endSuperseded();
        return;
      case 'superseded-ended':
        void this.lookForEnded();
        return;
      case 'hello':
        this.exchange.repeat();
        return;
      case 'released':
        this.exchange.forget(note.from);
        void this.take();
        return;
      default:
        this.exchange.hear(note);
    }
  }

  /** Takes what nobody holds, and everything of hosts whose lease ended long enough ago. */
  private take(): Promise<void> {
    this.taking = this.taking.then(async () => {
      const { store, lease, leaseMs, plugin, logger } = this.options;
      try {
        for (let more = true; more && this.isOpen;) {
          const taken = await store.take(lease.holder, marginOf(leaseMs));
          ({ more } = taken);
          if (!this.isOpen) return;
          for (const host of taken.lost) this.exchange.forget(host);
          const attempts = taken.work.length;
          this.takeOvers += attempts;
          if (attempts > 0 || taken.lost.length > 0)
            logger.info({ attempts, hosts: taken.lost }, 'took over the work of other hosts');
          this.options.takeFinished(taken.finished);
          await this.options.takeIn(taken.work, plugin.reach !== 'anywhere');
          if (taken.lost.length > 0) {
            void this.endSuperseded();
            void this.lookForEnded();
          }
        }
      } catch (error) {
        if (!this.stopped) logger.warn({ err: error }, 'work of other hosts could not be taken over yet');
      }
    });
    return this.taking;
  }

  /** What the table says is here and what is known here: rows that came unheard, commits whose answer was lost, aborts. */
  private async compare(): Promise<void> {
    const { store, attempts, plugin, logger } = this.options;
    if (!this.isOpen) return;
    try {
      const unknown: string[] = [];
      for (const { key, generation, abortReason } of await store.held(this.name)) {
        const entry = attempts.entries.get(key);
        if (!entry || entry.generation < generation || !entry.stored) unknown.push(key);
        else if (abortReason !== undefined && entry.generation === generation) attempts.abort(entry, abortReason);
      }
      if (unknown.length === 0 || !this.isOpen) return;
      const rows = await store.rows(this.name, unknown);
      if (this.isOpen) await this.options.takeIn(rows, plugin.reach !== 'anywhere');
    } catch (error) {
      if (!this.stopped) logger.warn({ err: error }, 'what is held here could not be compared; done again soon');
    }
  }

  private async lookForAborts(): Promise<void> {
    const { store, attempts, logger } = this.options;
    try {
      for (const { key, generation, reason } of await store.abortsOf(this.name)) {
        const entry = attempts.entries.get(key);
        if (entry && entry.generation <= generation) attempts.abort(entry, reason);
      }
    } catch (error) {
      if (!this.stopped) logger.warn({ err: error }, 'abort requests could not be read; done again soon');
    }
  }

  /** Ends older generations of attempts that are other hosts' now, and says so. */
  private endSuperseded(): Promise<void> {
    this.ending = this.ending.then(async () => {
      const { store, attempts, plugin, channel, logger } = this.options;
      if (!this.isOpen) return;
      try {
        const rows = await store.superseded(this.name);
        if (rows.length === 0) return;
        await Promise.all(
          rows.map(async (row) => {
            const launch = launchIn(row);
            const entry = attempts.entries.get(row.key);
            if (entry?.generation === row.generation) {
              await attempts.supersede(entry);
              attempts.drop(entry);
            }
            // Once more where it is known no longer, or could not be ended: this one rejects if anything may be left.
            if (launch) await plugin.abort(launch.attempt, `generation ${row.generation} was replaced`, row.remembered);
          }),
        );
        if (!this.isOpen) return;
        await store.supersededEnded(rows);
        await channel.tell({ kind: 'superseded-ended' });
        await this.lookForEnded();
      } catch (error) {
        if (!this.stopped) logger.warn({ err: error }, 'replaced attempts could not be ended yet');
      }
    });
    return this.ending;
  }

  private async lookForEnded(): Promise<void> {
    const { store, logger } = this.options;
    if (this.endWaiters.size === 0) return;
    try {
      const still = await store.stillEnding([...this.endWaiters.keys()]);
      for (const [key, { resolve }] of this.endWaiters)
        if (!still.has(key)) {
          this.endWaiters.delete(key);
          resolve();
        }
    } catch (error) {
      if (!this.stopped) logger.warn({ err: error }, 'the end of replaced attempts could not be looked up yet');
    }
  }

  /** The stream went to another host before the commit: that one has it. Nothing was started for it. */
  private dropUncommitted(): void {
    const { attempts, leaseMs } = this.options;
    const before = Date.now() - 2 * leaseMs;
    for (const entry of attempts.entries.values()) if (!entry.stored && entry.acceptedAt < before) attempts.drop(entry);
  }

  private isBetweenStarts(entry: AttemptEntry): boolean {
    return entry.relaunch !== undefined && entry.launching === undefined;
  }

  private async handOver(entries: readonly AttemptEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const { store, lease, channel, attempts, logger } = this.options;
    try {
      await store.handOver(
        lease.holder,
        entries.map(({ key }) => key),
      );
      for (const entry of entries) attempts.drop(entry);
      await channel.tell({ kind: 'released' });
    } catch (error) {
      logger.warn({ err: error }, 'attempts could not be handed over; they are taken when the lease ends');
    }
  }

  private async untilIdle(ms: number): Promise<void> {
    const end = performance.now() + ms;
    const { attempts, lease } = this.options;
    while (attempts.active.length > 0 && performance.now() < end && lease.isHeld)
      await new Promise((resolve) => setTimeout(resolve, Math.min(20, Math.max(1, end - performance.now()))));
  }
}
