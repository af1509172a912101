import { AloftError } from '@aloft/errors';
import { streamName } from '../batch.js';
import type { Stream } from '../port.js';
import { isStale, type Cluster } from './client/cluster.js';
import { errorName, type FetchedPartition, type Link } from './client/kafkajs.js';
import { endOffsets, startOffsets } from './client/offsets.js';
import type { KafkaReader } from './reader.js';

/** A reader that comes while all links to its broker are waiting joins after so long at most. */
const pollMs = 250;
const linksPerBroker = 3;
const maxBytesPerStream = 1024 * 1024;
const maxBytesPerFetch = 8 * 1024 * 1024;
const requestTimeoutMs = 10_000;
const retryMs = 100;
const outOfRange = 1;

/** Readers of one stream that stand at the same place share what is fetched. */
interface Place {
  stream: Stream;
  offset: bigint;
  readers: KafkaReader[];
}

/**
 * Brings the open readers what they want: those are all there is to an assignment, so a stream is read here from the moment
 * its lease is, and nobody has to agree to it. A broker is asked for many streams at once, in a long poll; readers that come
 * or make room meanwhile are asked for on another of its links. A reader without room is left out.
 */
export class Fetcher {
  readonly #readers = new Set<KafkaReader>();
  readonly #links = new Map<number, Set<number>>();
  readonly #checking = new Set<KafkaReader>();
  #scheduled = false;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(readonly cluster: Cluster) {}

  add(reader: KafkaReader): void {
    this.#readers.add(reader);
    this.schedule();
  }

  remove(reader: KafkaReader): void {
    this.#readers.delete(reader);
  }

  /** Looks for readers to ask for, at the end of this turn of the loop. */
  schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#round();
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
  }

  #round(): void {
    if (this.#closed) return;
    const lost = new Set<string>();
    const byLeader = new Map<number, Map<string, Place>>();
    for (const reader of this.#readers) {
      const offset = reader.wants;
      if (offset === undefined || reader.inFlight || this.#checking.has(reader)) continue;
      const leader = this.cluster.leader(reader.stream);
      if (leader === undefined) {
        lost.add(reader.stream.topic);
        continue;
      }
      const places = byLeader.get(leader) ?? new Map<string, Place>();
      byLeader.set(leader, places);
      const name = streamName(reader.stream);
      const place = places.get(name);
      // A request names a stream once: a reader that stands elsewhere waits for another link.
      if (!place) places.set(name, { stream: reader.stream, offset, readers: [reader] });
      else if (place.offset === offset) place.readers.push(reader);
    }
    if (lost.size > 0) this.#lookForLeaders(lost);
    for (const [leader, places] of byLeader) {
      const busy = this.#links.get(leader) ?? new Set<number>();
      this.#links.set(leader, busy);
      const free = Array.from({ length: linksPerBroker }, (_, i) => i).find((i) => !busy.has(i));
      if (free !== undefined) this.#start(leader, free, busy, [...places.values()]);
    }
  }

  #lookForLeaders(topics: Set<string>): void {
    this.cluster.refresh(topics).then(
      () => this.#later(20),
      () => this.#later(retryMs * 2),
    );
  }

  #later(ms: number): void {
    clearTimeout(this.#retry);
    if (!this.#closed) this.#retry = setTimeout(() => this.schedule(), ms);
  }

  #start(leader: number, number: number, busy: Set<number>, places: Place[]): void {
    busy.add(number);
    for (const { readers } of places) for (const reader of readers) reader.inFlight = true;
    void this.#fetch(leader, number, places).finally(() => {
      busy.delete(number);
      for (const { readers } of places)
        for (const reader of readers) {
          reader.inFlight = false;
          // So that those who stand elsewhere in the same stream have their turn.
          if (this.#readers.delete(reader)) this.#readers.add(reader);
        }
      this.schedule();
    });
    this.schedule();
  }

  async #fetch(leader: number, number: number, places: Place[]): Promise<void> {
    const byName = new Map(places.map((place) => [streamName(place.stream), place]));
    let link: Link;
    try {
      link = await this.cluster.link(leader, `fetch ${number}`);
      // The first streams of an answer are filled first.
      const order = [...byName.values()].sort(() => Math.random() - 0.5);
      const { responses } = await link.send(
        'Fetch',
        {
          maxWaitTime: pollMs,
          minBytes: 1,
          maxBytes: maxBytesPerFetch,
          isolationLevel: 0,
          rackId: '',
          topics: this.cluster.grouped(
            order.map(({ stream }) => stream),
            ({ partition }, i) => ({ partition, fetchOffset: String(order[i]!.offset), maxBytes: maxBytesPerStream }),
          ),
        },
        requestTimeoutMs,
      );
      if (this.#closed) return;
      for (const { topicName, partitions } of responses)
        for (const part of partitions) {
          const place = byName.get(`${this.cluster.internal(topicName)}/${part.partition}`);
          if (place) this.#answered(place, part);
        }
    } catch (error) {
      if (this.#closed) return;
      this.cluster.log.warn({ err: error, leader }, 'Kafka did not answer a fetch request');
      await this.cluster.refresh(places.map(({ stream }) => stream.topic)).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }

  #answered(place: Place, part: FetchedPartition): void {
    const name = `${this.cluster.external(place.stream.topic)}/${place.stream.partition}`;
    if (part.errorCode === 0) {
      const head = BigInt(part.highWatermark);
      for (const reader of place.readers) if (this.#readers.has(reader)) reader.fetched(part.messages, head);
    } else if (part.errorCode === outOfRange) {
      for (const reader of place.readers) void this.#explain(reader, place.offset);
    } else if (part.errorCode === 29) {
      const error = new AloftError(
        'PERMISSION_DENIED',
        `${name}: this service may not read there (${errorName(part.errorCode)}): grant it READ on the topic`,
      );
      for (const reader of place.readers) reader.fail(error);
    } else {
      this.cluster.log.warn({ stream: name, error: errorName(part.errorCode) }, 'Kafka gives nothing for the moment');
      for (const reader of place.readers) this.#pause(reader);
      if (isStale(part.errorCode)) this.#lookForLeaders(new Set([place.stream.topic]));
    }
  }

  /** Leaves a reader out for a while. */
  #pause(reader: KafkaReader): void {
    this.#checking.add(reader);
    setTimeout(() => {
      this.#checking.delete(reader);
      this.schedule();
    }, retryMs);
  }

  /** The broker does not have the offset that a reader goes on from. It never begins elsewhere of itself. */
  async #explain(reader: KafkaReader, offset: bigint): Promise<void> {
    this.#checking.add(reader);
    const name = `${this.cluster.external(reader.stream.topic)}/${reader.stream.partition}`;
    try {
      const [[start], [end]] = await Promise.all([
        startOffsets(this.cluster, [reader.stream]),
        endOffsets(this.cluster, [reader.stream]),
      ]);
      if (offset < start!)
        reader.fail(
          new AloftError(
            'DATA_LOSS',
            `${name}: retention has passed messages ${offset + 1n} to ${start!}, and this consumer has not read them. Raise ` +
              "the topic's retention.ms; to go on without them, set the group's position in bus_streams to " +
              `${start!} while its consumers are stopped`,
          ),
        );
      else if (offset > end!)
        reader.fail(
          new AloftError(
            'OUT_OF_RANGE',
            `${name} ends at position ${end!}, reading was to go on after ${offset}: the topic is older than its consumer ` +
              '(was it deleted and made again, or restored?). To go on from its beginning, set the ' +
              "group's position in bus_streams to 0 and its mark to null while its consumers are stopped",
          ),
        );
    } catch (error) {
      this.cluster.log.warn({ err: error, stream: name }, 'could not see why an offset is out of range; tried again');
    } finally {
      this.#pause(reader);
    }
  }
}
