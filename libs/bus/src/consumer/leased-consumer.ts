import { failedPrecondition, notFound, toAloftError, unavailable } from '@aloft/errors';
import type { Bus, Consumer, ConsumerOptions, HeldLease, Stream, StreamStatus } from '../port.js';
import type { ConsumerDriver } from './consumer.js';
import { createStreamLeases, type OwnedStreamLeases } from './leases.js';
import { Members } from './members.js';
import { createParkingStore, type LoadedParkingStore } from './parking.js';
import { createPositionStore, loadPosition } from './positions.js';
import { Progress } from './progress.js';
import { StreamWorker, type WorkerEnd } from './stream-worker.js';

const keepMs = 5_000;

const nameOf = ({ topic, partition }: Stream): string => `${topic}/${partition}`;

/** Shares the streams of a topic with the other consumers of its group, and works off those it holds. */
export class LeasedConsumer implements Consumer {
  readonly #leases: OwnedStreamLeases;
  readonly #members: Members;
  readonly #parking: LoadedParkingStore;
  readonly #workers = new Map<string, StreamWorker>();
  readonly #ending = new Map<string, Promise<void>>();
  readonly #kept = new Map<string, bigint>();
  readonly #progress = new Progress();
  readonly #leaseMs: number;
  readonly #unwatch: () => void;
  #rounds: Promise<void> = Promise.resolve();
  #began = false;
  #joined = false;
  #keptAll = 0;
  #timer: NodeJS.Timeout | undefined;
  #keeper: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  constructor(
    readonly options: ConsumerOptions,
    readonly bus: Bus,
    readonly driver: ConsumerDriver,
  ) {
    this.#leaseMs = options.leaseMs ?? 10_000;
    this.#leases = createStreamLeases(options.database, {
      group: options.group,
      leaseMs: this.#leaseMs,
      logger: driver.log,
    });
    const { database, group, topic } = options;
    this.#members = new Members(database, group, topic, this.#leases.owner, this.#leaseMs);
    this.#parking = createParkingStore(database, group);
    this.#unwatch = driver.onReleased((group) => group === options.group && this.#round());
    this.#timer = setInterval(() => this.#round(), this.#leaseMs / 3);
    this.#keeper = setInterval(() => void this.#keep([...this.#workers.values()]), keepMs);
    this.#timer.unref();
    this.#keeper.unref();
    this.#round();
  }

  /** Renews what is held, takes what is free of our share, gives what is over it; one at a time. */
  #round(): void {
    this.#rounds = this.#rounds.then(async () => {
      if (this.#closed || this.#progress.failure !== undefined) return;
      try {
        await this.#renewAndAcquire();
        this.#began = true;
        this.#progress.moved();
      } catch (error) {
        this.driver.log.warn(
          { err: toAloftError(error), group: this.options.group },
          'could not renew leases; tried again',
        );
        if (!this.#began) setTimeout(() => this.#round(), 200).unref();
      }
    });
  }

  async #renewAndAcquire(): Promise<void> {
    const { topic } = this.options;
    const renewed = new Map((await this.#leases.renew()).map((lease) => [nameOf(lease.stream), lease.epoch]));
    for (const [name, worker] of this.#workers)
      if (renewed.get(name) !== worker.lease.epoch) {
        this.driver.log.warn({ stream: worker.lease.stream, group: this.options.group }, 'a lease was lost');
        this.#end(name, worker);
      }
    const all = Array.from({ length: this.bus.partitions(topic) }, (_, partition) => ({ topic, partition }));
    const { most } = await this.#members.share(all.length, await this.#leases.session());
    if (!this.#joined) {
      this.#joined = true;
      await this.driver.announceRelease(this.options.group); // The others have to make room.
    }
    for (const [name, worker] of [...this.#workers].slice(Math.max(most, 0))) this.#handOver(name, worker);
    // Not what a handler of ours is still busy with, although it can't commit any more.
    const streams = all.filter((stream) => !this.#ending.has(nameOf(stream)));
    for (const lease of await this.#leases.acquire(streams, Math.max(0, most - this.#workers.size))) {
      const name = nameOf(lease.stream);
      if (!this.#workers.has(name) && !this.#ending.has(name)) await this.#begin(lease);
    }
  }

  /** Gives a stream to another member after the batch under way. */
  #handOver(name: string, worker: StreamWorker): void {
    this.#workers.delete(name);
    const ending = (async () => {
      await worker.close();
      await this.#keep([worker]);
      await this.#leases.release([worker.lease.stream]);
      await this.driver.announceRelease(this.options.group);
    })()
      .catch((error) => this.driver.log.warn({ err: toAloftError(error) }, 'could not hand a stream over at once'))
      .finally(() => this.#ending.delete(name));
    this.#ending.set(name, ending);
  }

  #end(name: string, worker: StreamWorker): void {
    this.#workers.delete(name);
    const ending = worker.close().finally(() => this.#ending.delete(name));
    this.#ending.set(name, ending);
  }

  async #begin(lease: HeldLease): Promise<void> {
    const { options } = this;
    const { position, mark } = await loadPosition(options.database, options.group, lease.stream);
    await this.#parking.load([lease.stream]);
    await this.bus.keep(options.group, [{ stream: lease.stream, position }]);
    const name = nameOf(lease.stream);
    const worker = new StreamWorker(lease, this.bus.read(lease.stream, position, { mark }), position, {
      options,
      positions: createPositionStore(options.group),
      parking: this.#parking,
      log: this.driver.log,
      moved: () => this.#progress.moved(),
    });
    this.#workers.set(name, worker);
    void worker.ended.then((end) => this.#workerEnded(name, worker, end));
  }

  #workerEnded(name: string, worker: StreamWorker, end: WorkerEnd): void {
    if (this.#workers.get(name) !== worker) return;
    this.#workers.delete(name);
    if (end.kind === 'failed') {
      this.driver.log.error(
        { err: end.error, stream: worker.lease.stream, group: this.options.group },
        'the consumer stops',
      );
      this.#progress.fail(end.error);
      this.options.onStopped?.(end.error);
      void this.close();
    } else if (end.kind === 'lost') {
      // Either another process has it, or our own position was behind a commit whose answer was lost: then it is ours to
      // take again, from where it stands.
      this.driver.log.warn({ stream: worker.lease.stream, group: this.options.group }, 'a stream was lost');
      void this.#leases.release([worker.lease.stream]).then(
        () => this.#round(),
        (error) => this.driver.log.warn({ err: toAloftError(error) }, 'could not release a lost stream'),
      );
    }
  }

  /** Tells the driver what is stored, where that changed; all of it once a minute. */
  async #keep(workers: readonly StreamWorker[]): Promise<void> {
    const all = Date.now() - this.#keptAll > 60_000;
    if (all) this.#keptAll = Date.now();
    const positions = workers
      .map(({ lease, reached }) => ({ stream: lease.stream, position: reached }))
      .filter(({ stream, position }) => all || this.#kept.get(nameOf(stream)) !== position);
    try {
      await this.bus.keep(this.options.group, positions);
      for (const { stream, position } of positions) this.#kept.set(nameOf(stream), position);
    } catch (error) {
      this.driver.log.warn({ err: toAloftError(error) }, 'could not register positions; tried again');
    }
  }

  async caughtUp(): Promise<void> {
    await this.#progress.until(() => this.#began || this.#closed !== undefined);
    if (this.#closed) throw unavailable(`the consumer of group ${this.options.group} is closed`);
    const streams = [...this.#workers.values()].map(({ lease }) => lease.stream);
    const heads = await this.bus.heads(streams);
    // Repeats that a driver leaves out move nothing but what is reached.
    const look = setInterval(() => this.#progress.moved(), 50);
    try {
      await this.#progress.until(() =>
        streams.every((stream, i) => {
          const worker = this.#workers.get(nameOf(stream));
          return worker === undefined || worker.reached >= heads[i]!;
        }),
      );
    } finally {
      clearInterval(look);
    }
  }

  status(): StreamStatus[] {
    return [...this.#workers.values()].map(({ lease, reached, reader }) => ({
      stream: lease.stream,
      position: reached,
      head: reached > reader.head ? reached : reader.head,
    }));
  }

  async release(key: string): Promise<void> {
    const { rows } = await this.options.database.query<{ topic: string; partition: number; owner: string | null }>(
      `SELECT DISTINCT p.topic, p.partition, s.owner FROM bus_parked p JOIN bus_streams s USING (group_name, topic, partition)
       WHERE p.group_name = $1 AND p.key = $2 AND p.topic = $3`,
      [this.options.group, key, this.options.topic],
    );
    if (rows.length === 0) throw notFound(`group ${this.options.group}: no message of key "${key}" is parked`);
    for (const row of rows) {
      const worker = this.#workers.get(nameOf(row));
      if (!worker)
        throw failedPrecondition(
          `group ${this.options.group}: key "${key}" is parked in ${nameOf(row)}, which ` +
            `${row.owner === null ? 'nobody holds now' : `is held by ${row.owner}`}; release it there`,
        );
      await worker.release(key);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    clearInterval(this.#keeper);
    this.#unwatch();
    await this.#rounds;
    const workers = [...this.#workers.values()];
    this.#workers.clear();
    await Promise.all([...workers.map((worker) => worker.close()), ...this.#ending.values()]);
    await this.#keep(workers);
    try {
      await this.#members.leave();
      await this.#leases.release(workers.map(({ lease }) => lease.stream));
      await this.driver.announceRelease(this.options.group);
    } catch (error) {
      // They are free as soon as our session ends, just below.
      this.driver.log.warn({ err: toAloftError(error) }, 'could not release leases');
    }
    await this.#leases.close();
    this.#progress.fail(unavailable(`the consumer of group ${this.options.group} is closed`));
  }
}
