import type { Logger } from '@aloft/telemetry';
import type { AttemptQueue } from '../capacity/attempt-queue.js';
import type { AttemptEntry } from './attempt-entry.js';
import type { HostChannel, HostMessage, Room } from './host-channel.js';
import type { Holder, WorkStore } from './work-store.js';

export interface WaitingExchangeOptions {
  queue: AttemptQueue<AttemptEntry>;
  store: WorkStore;
  channel: HostChannel;
  holder: () => Holder;
  logger: Logger;
  /** Takes part now. */
  isOpen: () => boolean;
  /** Rows came that this host does not know yet. */
  onGiven(): void;
  /** It is another host's now. */
  onMoved(entry: AttemptEntry): void;
  /** It stays after all. */
  onKept(entry: AttemptEntry): void;
}

/** Attempts that change hosts in one statement at most. */
const most = 200;
/** An offer that nobody answered in this time counts as unheard. */
const patienceMs = 2_000;

/**
 * Hosts hand waiting attempts to each other, so that none waits here while there is room elsewhere. Only the holder gives,
 * from its own queue, so nothing is started and given away at once: "work waits here" → an idle host offers its room to the
 * one where work waits longest → that one gives what fits, in the order of its queue → "given". Nothing is written or
 * said while no attempt waits anywhere.
 */
export class WaitingExchange {
  /** Hosts with waiting work, and since when (`Date.now()`) the oldest of it waits. */
  private readonly others = new Map<string, number>();
  private announced = false;
  private offered: { to: string; timer: NodeJS.Timeout } | undefined;
  private planned: NodeJS.Timeout | undefined;
  private giving: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(private readonly options: WaitingExchangeOptions) {}

  /** After anything started, ended or came in. */
  changed(): void {
    if (this.stopped || this.planned) return;
    if (this.options.queue.waiting > 0 ? this.announced : this.others.size === 0 || this.offered) {
      if (this.options.queue.waiting === 0) this.announced = false;
      return;
    }
    // A moment later: what has room here must not travel.
    this.planned = setTimeout(() => {
      this.planned = undefined;
      this.look();
    }, 5);
  }

  /** With each renewal: says again what may have gone unheard. */
  repeat(): void {
    this.announced = false;
    this.changed();
  }

  hear(note: HostMessage): void {
    if (this.stopped) return;
    if (note.kind === 'waiting') {
      this.others.set(note.from, Date.now() - note.oldestMs);
      this.changed();
    } else if (note.kind === 'room') this.giving = this.giving.then(() => this.give(note.from, note.room));
    else if (note.kind === 'enough') {
      this.others.delete(note.from);
      this.answered(note.from);
    } else if (note.kind === 'given') {
      this.answered(note.from);
      this.options.onGiven();
    }
  }

  forget(host: string): void {
    this.others.delete(host);
    this.answered(host);
  }

  /** Resolves when nothing is on its way to another host any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.planned);
    clearTimeout(this.offered?.timer);
    await this.giving;
  }

  private look(): void {
    const { queue, channel, isOpen } = this.options;
    if (this.stopped || !isOpen()) return;
    const { oldestMs } = queue;
    if (oldestMs !== undefined) {
      this.announced = true;
      void channel.tell({ kind: 'waiting', oldestMs });
      return;
    }
    this.announced = false;
    const room = finite(queue.free);
    if (this.offered || this.others.size === 0 || room.slots < 1) return;
    const [longest] = [...this.others].sort(([, a], [, b]) => a - b);
    const to = (longest as [string, number])[0];
    this.offered = { to, timer: setTimeout(() => this.answered(to), patienceMs) };
    void channel.tell({ kind: 'room', to, room });
  }

  private answered(host: string): void {
    if (this.offered?.to !== host) return;
    clearTimeout(this.offered.timer);
    this.offered = undefined;
    this.changed();
  }

  private async give(to: string, room: Room): Promise<void> {
    const { queue, store, channel, holder, isOpen } = this.options;
    const entries = isOpen() && !this.stopped ? queue.takeFor(room, most) : [];
    if (entries.length === 0) {
      await channel.tell({ kind: 'enough', to });
      return;
    }
    for (const entry of entries) entry.state = 'moving';
    const keys = entries.map(({ key }) => key);
    const moved = await this.until(() => store.give(holder(), to, keys), keys);
    for (const entry of entries)
      if (moved.has(entry.key)) {
        queue.gone(entry);
        this.options.onMoved(entry);
      } else {
        entry.state = 'waiting';
        queue.putBack(entry);
        this.options.onKept(entry);
      }
    this.announced = false;
    await channel.tell(moved.size > 0 ? { kind: 'given', to } : { kind: 'enough', to });
    this.changed();
  }

  /** An answer that was lost leaves in doubt whose the rows are: asked until it is known, or this host's time is over. */
  private async until(move: () => Promise<ReadonlySet<string>>, keys: readonly string[]): Promise<ReadonlySet<string>> {
    const { store, holder, logger, isOpen } = this.options;
    try {
      return await move();
    } catch (error) {
      logger.warn({ err: error, attempts: keys.length }, 'whether waiting attempts moved is asked again');
    }
    for (let pause = 50; isOpen(); pause = Math.min(1_000, pause * 2)) {
      try {
        // Once more, so that what is still under way changes nothing any more.
        await move();
        const mine = new Set((await store.rows(holder().name, keys)).map(({ key }) => key));
        return new Set(keys.filter((key) => !mine.has(key)));
      } catch {
        await new Promise((resolve) => setTimeout(resolve, pause)); // Still away.
      }
    }
    return new Set(keys);
  }
}

/** As numbers that JSON has. */
const finite = (room: Room): Room => ({
  milliCpu: Math.min(room.milliCpu, Number.MAX_SAFE_INTEGER),
  memoryBytes: Math.min(room.memoryBytes, Number.MAX_SAFE_INTEGER),
  gpu: Math.min(room.gpu, Number.MAX_SAFE_INTEGER),
  slots: Math.min(room.slots, Number.MAX_SAFE_INTEGER),
});
