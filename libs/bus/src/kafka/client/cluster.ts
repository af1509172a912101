import { AloftError, toAloftError, unavailable } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import type { Stream } from '../../port.js';
import { explain } from './explain.js';
import { errorName, Link, type Address, type Api, type LinkOptions, type Requests } from './kafkajs.js';

export interface Partition {
  leader: number;
  replicas: number[];
  isr: number[];
}

export interface TopicState {
  errorCode: number;
  partitions: Map<number, Partition>;
}

export interface ClusterOptions extends LinkOptions {
  /** `host:port`, some of the cluster's. */
  brokers: readonly string[];
  topicPrefix: string;
}

const leaderErrors = new Set([3, 5, 6, 9, 13, 56, 72, 74, 75, 76, 78, 100]);

/** Whether an error code says that somebody else leads the partition now, or nobody for the moment. */
export const isStale = (code: number): boolean => leaderErrors.has(code);

/**
 * Who leads which partition, and connections to them: one link for each broker and purpose, so that a long poll stands in
 * nobody's way. Topics are named as the bus names them; the prefix is put on and taken off here.
 */
export class Cluster {
  readonly log: Logger;
  #brokers = new Map<number, Address>();
  #controller = -1;
  /** Which broker `any` asks first: another one after each failure. */
  #first = 0;
  readonly #topics = new Map<string, TopicState>();
  readonly #wanted = new Set<string>();
  readonly #links = new Map<string, Promise<Link>>();
  readonly #open = new Set<Link>();
  #refreshing: Promise<void> | undefined;
  #refreshedAt = 0;
  #closed = false;
  /** Why the last attempt to reach the cluster failed; undefined after one that did not. */
  problem: AloftError | undefined;

  constructor(readonly options: ClusterOptions) {
    this.log = options.log;
  }

  get brokerCount(): number {
    return this.#brokers.size;
  }

  external(topic: string): string {
    return this.options.topicPrefix + topic;
  }

  internal(name: string): string {
    return name.slice(this.options.topicPrefix.length);
  }

  topic(topic: string): TopicState | undefined {
    return this.#topics.get(topic);
  }

  hasBroker(node: number): boolean {
    return this.#brokers.has(node);
  }

  /** The broker that leads a stream, as far as is known. */
  leader({ topic, partition }: Stream): number | undefined {
    const known = this.#topics.get(topic)?.partitions.get(partition);
    return known && known.leader >= 0 && this.#brokers.has(known.leader) ? known.leader : undefined;
  }

  /** As `leader`, looking again where nobody is known. UNAVAILABLE when there is none. */
  async leaderOf(stream: Stream): Promise<number> {
    const known = this.leader(stream);
    if (known !== undefined) return known;
    await this.refresh([stream.topic]);
    const leader = this.leader(stream);
    if (leader !== undefined) return leader;
    const state = this.#topics.get(stream.topic);
    if (state?.errorCode === 29)
      throw new AloftError('PERMISSION_DENIED', `not allowed to see topic ${this.external(stream.topic)} (DESCRIBE)`);
    throw unavailable(
      `${this.external(stream.topic)}/${stream.partition} has no leader now` +
        (state && state.errorCode !== 0 ? ` (${errorName(state.errorCode)})` : ''),
    );
  }

  /** Asks who leads what, for these topics and all asked for before; one question at a time, ten a second at most. */
  async refresh(topics: Iterable<string> = []): Promise<void> {
    let isNew = false;
    for (const topic of topics)
      if (!this.#wanted.has(topic)) {
        this.#wanted.add(topic);
        isNew = true;
      }
    if (this.#refreshing) await this.#refreshing.catch(() => undefined);
    if (!isNew && Date.now() - this.#refreshedAt < 100)
      await new Promise((resolve) => setTimeout(resolve, 100 + this.#refreshedAt - Date.now()));
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
      this.#refreshedAt = Date.now();
    });
    await this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const link = await this.any();
    const answer = await link
      .send('Metadata', {
        topics: [...this.#wanted].map((topic) => this.external(topic)),
        allowAutoTopicCreation: false,
      })
      .catch((error: unknown) => {
        this.#first++; // Another broker may know.
        this.problem = explain(error, link.address, this.options);
        throw this.problem;
      });
    this.#brokers = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    this.#controller = answer.controllerId;
    for (const { topic, topicErrorCode, partitionMetadata } of answer.topicMetadata)
      this.#topics.set(this.internal(topic), {
        errorCode: topicErrorCode,
        partitions: new Map(
          partitionMetadata.map(({ partitionId, leader, replicas, isr }) => [partitionId, { leader, replicas, isr }]),
        ),
      });
    this.problem = undefined;
  }

  /** A link to a broker for one purpose: made when there is none, made again when it was lost. */
  link(node: number, purpose: string): Promise<Link> {
    const address = this.#brokers.get(node);
    if (!address) return Promise.reject(unavailable(`broker ${node} is not known`));
    return this.#link(`${node}/${purpose}`, address);
  }

  async #link(name: string, address: Address): Promise<Link> {
    if (this.#closed) throw unavailable('the bus is closed');
    const known = this.#links.get(name);
    if (known) {
      const link = await known;
      if (link.isOpen) return link;
      if (this.#links.get(name) === known) this.#links.delete(name);
      this.#open.delete(link);
      return this.#link(name, address);
    }
    const opening = Link.open(address, this.options).then(
      (link) => {
        this.#open.add(link);
        if (this.#closed) link.close();
        return link;
      },
      (error: unknown) => {
        this.#links.delete(name);
        this.problem = explain(error, address, this.options);
        throw this.problem;
      },
    );
    this.#links.set(name, opening);
    return opening;
  }

  /** A link for short questions to whichever broker can be reached. */
  async any(): Promise<Link> {
    for (const link of this.#open) if (!link.isOpen) this.#open.delete(link);
    const known = [...this.#brokers].map(([node, address]) => ({ name: `${node}/control`, address }));
    const seeds = this.options.brokers.map((broker) => ({ name: `seed ${broker}`, address: parseAddress(broker) }));
    const all = [...known, ...seeds];
    let last: AloftError | undefined;
    for (let i = 0; i < all.length; i++) {
      const { name, address } = all[this.#first % all.length]!;
      try {
        return await this.#link(name, address);
      } catch (error) {
        this.#first++;
        last = toAloftError(error);
        if (last.name === 'RefusedError') throw last;
      }
    }
    throw last ?? unavailable('no Kafka broker is named');
  }

  async controller(): Promise<Link> {
    if (this.#controller < 0) await this.refresh();
    return this.link(this.#controller, 'control');
  }

  /** One short question to the leaders of streams, each about its own; parts that fail are for the caller to see. */
  async askLeaders<A extends Api>(
    api: A,
    streams: readonly Stream[],
    options: (streams: readonly Stream[]) => Requests[A][0],
  ): Promise<Requests[A][1][]> {
    const byLeader = new Map<number, Stream[]>();
    for (const stream of streams) {
      const leader = await this.leaderOf(stream);
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), stream]);
    }
    return Promise.all(
      [...byLeader].map(async ([node, list]) => (await this.link(node, 'control')).send(api, options(list))),
    );
  }

  /** Streams as requests name them. */
  grouped<T>(
    streams: readonly Stream[],
    part: (stream: Stream, index: number) => T,
  ): { topic: string; partitions: T[] }[] {
    const byTopic = new Map<string, T[]>();
    for (const [i, stream] of streams.entries()) {
      const name = this.external(stream.topic);
      const list = byTopic.get(name);
      if (list) list.push(part(stream, i));
      else byTopic.set(name, [part(stream, i)]);
    }
    return [...byTopic].map(([topic, partitions]) => ({ topic, partitions }));
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#open) link.close();
  }
}

export function parseAddress(broker: string): Address {
  const at = broker.lastIndexOf(':');
  return { host: broker.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(broker.slice(at + 1)) };
}
