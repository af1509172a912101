import type { Database } from '@aloft/database';
import { toAloftError, unavailable, type AloftError } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import { setTimeout as delay } from 'node:timers/promises';
import { streamName, type Published } from '../../batch.js';
import { createStreamLeases, type OwnedStreamLeases } from '../../consumer/leases.js';
import type { HeldLease, Stream } from '../../port.js';
import type { Head, Wake } from '../../wake.js';
import { patiently } from '../client/offsets.js';
import type { Producer } from '../producer.js';
import { Outbox, relayGroup, type OutboxPart } from './outbox.js';
import { RelayStream } from './relay-stream.js';

/** How often orphans are looked for; at every third, leases are renewed and the outbox of held streams is looked at. */
const roundMs = 1_000;
const leaseMs = 10_000;
/** A holder that has published nothing for so long, while others did so often, makes way for them. */
const localityMs = 500;
const localityCount = 3;
const drainMs = 2_000;
/** A stream is ours to want for so long after we published to it. */
const wantedMs = 10_000;
const removeMs = 50;

export interface RelayOptions {
  database: Database;
  producer: Producer;
  wake: Wake;
  log: Logger;
}

/**
 * Brings a service's outbox to Kafka after its commits. Each stream has one relay among the service's processes, by lease: the
 * one that publishes to it, so that messages go from the commit to Kafka without another look at the table. A process that
 * publishes to a stream relayed elsewhere tells so by NOTIFY; the holder sends it, and gives the lease away when it has not
 * published there itself of late.
 */
export class Relay {
  readonly outbox: Outbox;
  readonly #leases: OwnedStreamLeases;
  readonly #held = new Map<string, RelayStream>();
  readonly #giving = new Map<string, Promise<void>>();
  /** Streams that we publish to and don't relay: when we last did. */
  readonly #wanted = new Map<string, { stream: Stream; at: number }>();
  readonly #sent = new Map<string, { stream: Stream; after: bigint; to: bigint }>();
  #rounds: Promise<void> = Promise.resolve();
  #queued = false;
  #beats = 0;
  #timer: NodeJS.Timeout | undefined;
  #remover: NodeJS.Timeout | undefined;
  #removing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #problem: AloftError | undefined;

  constructor(readonly options: RelayOptions) {
    this.outbox = new Outbox(options.database);
    this.#leases = createStreamLeases(options.database, { group: relayGroup, leaseMs, logger: options.log });
  }

  /** Looks for what others left behind, from now on. */
  start(): void {
    if (this.#timer || this.#closed) return;
    this.options.wake.start();
    this.#timer = setInterval(() => this.#round(), roundMs);
    this.#timer.unref();
    this.#round();
  }

  /** Messages known of that Kafka does not have yet, by topic. */
  backlog(): Map<string, number> {
    const backlog = new Map<string, number>();
    for (const { lease, waiting } of this.#held.values())
      backlog.set(lease.stream.topic, (backlog.get(lease.stream.topic) ?? 0) + Number(waiting));
    return backlog;
  }

  /** Why something that was published does not reach Kafka; undefined when all is well. */
  get problem(): AloftError | undefined {
    for (const stream of this.#held.values()) if (stream.problem) return stream.problem;
    return this.#problem;
  }

  // ---- what comes in ----

  /** After a commit of this process. */
  handOver(published: readonly Published[]): void {
    if (this.#closed) return;
    this.start();
    const elsewhere: Head[] = [];
    let isNew = false;
    for (const { stream, first, encoded, row } of published) {
      const part: OutboxPart = { first, messages: encoded, at: Number(row.at) };
      const name = streamName(stream);
      const held = this.#held.get(name);
      if (held) {
        held.publishedHere = performance.now();
        held.publishedElsewhere = 0;
        held.handOver(part);
        continue;
      }
      isNew ||= !this.#wanted.has(name);
      this.#wanted.set(name, { stream, at: performance.now() });
      elsewhere.push({ ...stream, head: first + BigInt(encoded.length) - 1n });
    }
    if (elsewhere.length > 0) this.options.wake.announce(elsewhere);
    if (isNew) this.#round();
  }

  /** Another process of this service has published. */
  announced(heads: readonly Head[]): void {
    const now = performance.now();
    for (const head of heads) {
      const held = this.#held.get(streamName(head));
      if (!held) continue;
      held.announce(head.head);
      if (++held.publishedElsewhere >= localityCount && now - held.publishedHere > localityMs) this.#give(held);
    }
  }

  /** Something may have been published or released unheard. */
  missed(): void {
    for (const held of this.#held.values()) held.look();
    this.#round();
  }

  released(): void {
    if (this.#wanted.size > 0) this.#round();
  }

  // ---- leases ----

  #round(): void {
    if (this.#queued || this.#closed) return;
    this.#queued = true;
    this.#rounds = this.#rounds.then(async () => {
      this.#queued = false;
      if (this.#closed) return;
      try {
        await this.#renewAndAcquire();
        this.#problem = undefined;
      } catch (error) {
        this.#problem = toAloftError(error);
        this.options.log.warn({ err: this.#problem }, 'could not renew the leases of the outbox; tried again');
      }
    });
  }

  async #renewAndAcquire(): Promise<void> {
    if (this.#beats++ % 3 === 0 && this.#held.size > 0) {
      const renewed = new Map((await this.#leases.renew()).map((lease) => [streamName(lease.stream), lease.epoch]));
      for (const [name, held] of this.#held)
        if (renewed.get(name) !== held.lease.epoch && !this.#giving.has(name)) this.#drop(held);
      await this.#lookAtHeld();
    }
    const now = performance.now();
    const streams = new Map<string, Stream>();
    for (const [name, { stream, at }] of this.#wanted) {
      if (now - at > wantedMs) this.#wanted.delete(name);
      else streams.set(name, stream);
    }
    for (const stream of await this.outbox.orphans()) streams.set(streamName(stream), stream);
    for (const name of [...this.#held.keys(), ...this.#giving.keys()]) streams.delete(name);
    if (streams.size === 0 || this.#closed) return;
    for (const lease of await this.#leases.acquire([...streams.values()])) {
      const name = streamName(lease.stream);
      if (!this.#held.has(name) && !this.#giving.has(name)) this.#hold(name, lease);
    }
  }

  /** A process that was killed between its commit and its NOTIFY left messages that nothing has announced. */
  async #lookAtHeld(): Promise<void> {
    const streams = [...this.#held.values()].map(({ lease }) => lease.stream);
    for (const { stream, head } of await this.outbox.unsent(streams))
      this.#held.get(streamName(stream))?.announce(head);
  }

  #hold(name: string, lease: HeldLease): void {
    const { database: _, ...environment } = this.options;
    const stream = new RelayStream(lease, {
      ...environment,
      outbox: this.outbox,
      source: this.options.database.schema,
      sent: (held, after, to) => this.#wasSent(held, after, to),
      lost: (held) => this.#drop(held),
    });
    if (this.#wanted.delete(name)) stream.publishedHere = performance.now();
    this.#held.set(name, stream);
  }

  /** Somebody else has it. */
  #drop(held: RelayStream): void {
    if (this.#held.get(held.name) !== held) return;
    this.#held.delete(held.name);
    this.options.log.warn({ stream: held.name }, 'the lease of an outbox stream was lost');
    void held.close();
    void this.#leases
      .release([held.lease.stream])
      .catch((error) => this.options.log.warn({ err: toAloftError(error) }, 'could not release a lost stream'));
  }

  /** Gives a stream to whoever publishes there. */
  #give(held: RelayStream): void {
    const { name } = held;
    if (this.#giving.has(name)) return;
    this.#held.delete(name);
    const giving = (async () => {
      await held.close();
      await this.#remove();
      await this.#leases.release([held.lease.stream]);
      await this.options.wake.released(relayGroup);
    })()
      .catch((error) => this.options.log.warn({ err: toAloftError(error) }, 'could not give an outbox stream away'))
      .finally(() => this.#giving.delete(name));
    this.#giving.set(name, giving);
  }

  // ---- what Kafka has ----

  #wasSent({ lease, name }: RelayStream, after: bigint, to: bigint): void {
    const known = this.#sent.get(name);
    this.#sent.set(name, { stream: lease.stream, after: known ? known.after : after, to });
    this.#remover ??= setTimeout(() => {
      this.#remover = undefined;
      void this.#remove();
    }, removeMs);
  }

  #remove(): Promise<void> {
    const before = this.#removing ?? Promise.resolve();
    const removing = before.then(async () => {
      const sent = [...this.#sent.values()];
      this.#sent.clear();
      if (sent.length === 0) return;
      try {
        await this.outbox.remove(sent);
      } catch (error) {
        this.options.log.warn(
          { err: toAloftError(error) },
          'could not remove what Kafka has from the outbox; tried again',
        );
        for (const each of sent) {
          const later = this.#sent.get(streamName(each.stream));
          this.#sent.set(streamName(each.stream), { ...each, to: later ? later.to : each.to });
        }
        if (!this.#closed)
          this.#remover ??= setTimeout(() => ((this.#remover = undefined), void this.#remove()), roundMs);
      }
    });
    this.#removing = removing;
    return removing;
  }

  /** Resolves when all that was committed to these streams before the call is with Kafka. */
  async flushed(streams: readonly Stream[], ms = 15_000): Promise<void> {
    const until = Date.now() + ms;
    let unsent = await patiently(() => this.outbox.unsent(streams), ms);
    if (unsent.length > 0) this.start();
    for (let turn = 1; unsent.length > 0; turn++) {
      unsent = unsent.filter(({ stream, head }) => !this.#held.get(streamName(stream))?.hasSent(head));
      // Another process may have sent it; also one that does not know yet that it lost the stream to us.
      if (turn % 8 === 0) unsent = await patiently(() => this.#stillThere(unsent), ms);
      if (unsent.length === 0) return;
      if (this.#closed || Date.now() > until)
        throw unavailable(
          `what was published to ${streamName(unsent[0]!.stream)} is not with Kafka yet` +
            (this.problem ? `: ${this.problem.message}` : ''),
        );
      await delay(5);
    }
  }

  async #stillThere(unsent: readonly { stream: Stream; head: bigint }[]): Promise<{ stream: Stream; head: bigint }[]> {
    const left = await Promise.all(unsent.map(({ stream, head }) => this.outbox.hasLeft(stream, head)));
    return unsent.filter((_, i) => !left[i]);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#rounds;
    await Promise.all(this.#giving.values());
    const held = [...this.#held.values()];
    for (const until = Date.now() + drainMs; held.some((each) => each.waiting > 0n && !each.problem); await delay(5))
      if (Date.now() > until) break; // The next process will.
    await Promise.all(held.map((stream) => stream.close()));
    this.#held.clear();
    clearTimeout(this.#remover);
    await this.#remove();
    try {
      await this.#leases.release(held.map(({ lease }) => lease.stream));
      await this.options.wake.released(relayGroup);
    } catch (error) {
      // They are free as soon as our session ends, just below.
      this.options.log.warn({ err: toAloftError(error) }, 'could not release the leases of the outbox');
    }
    await this.#leases.close();
  }
}
