import { GetOrExtendReservationRequest, type ReservationID } from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import type { Logger } from '@aloft/telemetry';
import type { CommitBatch } from '../commit/batch.js';
import { toTimestamp } from '../runs/clock.js';
import type { Alarm, Timing } from '../runs/timing.js';
import type { CatalogClient } from './catalog-requests.js';

interface Held {
  uid: string;
  shard: number;
  request: GetOrExtendReservationRequest;
  beat: Alarm;
}

/**
 * Reservations held for running attempts, and their heartbeats (C-95: every 10 s, expiry after three). Each is a row too, so that
 * whoever owns the run next goes on with them. A running node goes on even if its reservation is lost.
 */
export class HeldReservations {
  private readonly held = new Map<string, Held>();
  private readonly taken = new Map<string, Held>();
  private readonly given = new Map<string, Held>();
  private stopped = false;

  constructor(
    private readonly options: { client: () => CatalogClient; logger: Logger; heartbeatMs: number; timing: Timing },
    private readonly changed: () => void,
  ) {}

  request(reservationId: ReservationID, ownerId: string): GetOrExtendReservationRequest {
    const { seconds, nanos } = toTimestamp(this.options.heartbeatMs);
    return { reservationId, ownerId, heartbeatInterval: { seconds, nanos } };
  }

  hold(attempt: string, run: { uid: string; shard: number }, request: GetOrExtendReservationRequest): void {
    if (this.stopped || this.held.has(attempt)) return;
    const held = this.beat(attempt, { ...run, request });
    this.given.delete(attempt);
    this.taken.set(attempt, held);
    this.changed();
  }

  /** No more heartbeats. Returns what was asked for it. */
  giveUp(attempt: string): GetOrExtendReservationRequest | undefined {
    const held = this.held.get(attempt);
    if (!held) return undefined;
    held.beat.cancel();
    this.held.delete(attempt);
    this.taken.delete(attempt);
    this.given.set(attempt, held);
    this.changed();
    return held.request;
  }

  /** Goes on with those of a run that was taken over. */
  resume(rows: readonly { run_uid: string; attempt: string; shard: number; request: Buffer }[]): void {
    for (const { run_uid, attempt, shard, request } of rows) {
      this.beat(attempt, { uid: run_uid, shard, request: GetOrExtendReservationRequest.decode(request) });
    }
  }

  /** The run is over. A row that was on its way when its other rows went is given up behind it. */
  forget(uid: string): void {
    for (const [attempt, held] of this.held) if (held.uid === uid) this.giveUp(attempt);
  }

  /** Shards are another's now: so are their heartbeats. */
  drop(isGone: (shard: number) => boolean): void {
    for (const [attempt, held] of this.held) {
      if (!isGone(held.shard)) continue;
      held.beat.cancel();
      this.held.delete(attempt);
      this.taken.delete(attempt);
    }
    for (const [attempt, { shard }] of this.given) if (isGone(shard)) this.given.delete(attempt);
  }

  /** Puts the rows of what changed into a commit. */
  take(batch: CommitBatch, partitionOf: (shard: number) => number): void {
    for (const [attempt, { uid, shard, request }] of this.taken) {
      batch.held.push({ uid, attempt, shard, request: GetOrExtendReservationRequest.encode(request).finish() });
      batch.partitions.add(partitionOf(shard));
    }
    for (const [attempt, { uid, shard }] of this.given) {
      batch.dropped.push({ uid, attempt });
      batch.partitions.add(partitionOf(shard));
    }
    this.taken.clear();
    this.given.clear();
  }

  get dirty(): boolean {
    return this.taken.size > 0 || this.given.size > 0;
  }

  stop(): void {
    this.stopped = true;
    for (const { beat } of this.held.values()) beat.cancel();
    this.held.clear();
  }

  private beat(attempt: string, held: Omit<Held, 'beat'>): Held {
    const beat = this.options.timing.every(this.options.heartbeatMs, () => {
      this.options
        .client()
        .getOrExtendReservation(held.request)
        .catch((error: unknown) => {
          this.options.logger.warn({ err: error, attempt }, 'heartbeat of a reservation failed');
        });
    });
    const whole = { ...held, beat };
    this.held.set(attempt, whole);
    return whole;
  }
}
