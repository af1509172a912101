/**
 * The only file that knows kafkajs. It is used below its public API: its wire protocol, its connection and its SASL
 * authenticators, not its consumer (a rebalance of its group would come between a lease and its streams) nor its cluster and
 * retry code. A link is one connection; once anything is wrong with it, it is thrown away and another one is made.
 */
import { createRequire } from 'node:module';
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { unavailable } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';

export type Mechanism = 'plain' | 'scram-sha-256' | 'scram-sha-512' | 'oauthbearer';

export interface Security {
  tls?: ConnectionOptions;
  sasl?:
    | { mechanism: Exclude<Mechanism, 'oauthbearer'>; username: string; password: string }
    | { mechanism: 'oauthbearer'; oauthBearerProvider: () => Promise<{ value: string }> };
}

export interface LinkOptions extends Security {
  clientId: string;
  /** To connect, TLS included (default 5,000 ms). */
  connectTimeoutMs?: number;
  /** For an answer (default 8,000 ms). */
  requestTimeoutMs?: number;
  log: Logger;
}

export interface Address {
  host: string;
  port: number;
}

/** A record as the broker gives it out. */
export interface FetchedRecord {
  offset: string;
  timestamp: string;
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, Buffer | Buffer[] | undefined>;
  isControlRecord: boolean;
}

export interface FetchedPartition {
  partition: number;
  errorCode: number;
  highWatermark: string;
  messages: FetchedRecord[];
}

export interface OutgoingRecord {
  key: string;
  value: Uint8Array;
  headers: Record<string, string>;
}

interface Topics<P> {
  topic: string;
  partitions: P[];
}

/** What requests take and answer, as far as this driver uses them. Errors of parts are codes in the answer. */
export interface Requests {
  Metadata: [
    { topics: string[]; allowAutoTopicCreation: boolean },
    {
      brokers: { nodeId: number; host: string; port: number }[];
      controllerId: number;
      topicMetadata: {
        topicErrorCode: number;
        topic: string;
        partitionMetadata: {
          partitionErrorCode: number;
          partitionId: number;
          leader: number;
          replicas: number[];
          isr: number[];
        }[];
      }[];
    },
  ];
  Produce: [
    {
      acks: -1;
      timeout: number;
      transactionalId: null;
      producerId: string;
      producerEpoch: number;
      topicData: Topics<{ partition: number; firstSequence: number; messages: OutgoingRecord[] }>[];
    },
    { topics: { topicName: string; partitions: { partition: number; errorCode: number; baseOffset: string }[] }[] },
  ];
  Fetch: [
    {
      maxWaitTime: number;
      minBytes: number;
      maxBytes: number;
      isolationLevel: 0;
      rackId: '';
      topics: Topics<{ partition: number; fetchOffset: string; maxBytes: number }>[];
    },
    { errorCode?: number; responses: { topicName: string; partitions: FetchedPartition[] }[] },
  ];
  ListOffsets: [
    { replicaId: -1; isolationLevel: 0; topics: Topics<{ partition: number; timestamp: string }>[] },
    { responses: Topics<{ partition: number; errorCode: number; offset: string }>[] },
  ];
  GroupCoordinator: [
    { groupId: string; coordinatorType: 0 },
    { errorCode: number; coordinator: { nodeId: number; host: string; port: number } },
  ];
  OffsetCommit: [
    {
      groupId: string;
      groupGenerationId: -1;
      memberId: '';
      topics: Topics<{ partition: number; offset: string }>[];
    },
    { responses: Topics<{ partition: number; errorCode: number }>[] },
  ];
  OffsetFetch: [
    { groupId: string; topics: Topics<{ partition: number }>[] },
    { errorCode: number; responses: Topics<{ partition: number; offset: string; errorCode: number }>[] },
  ];
  InitProducerId: [
    { transactionalId: null; transactionTimeout: number },
    { errorCode: number; producerId: string; producerEpoch: number },
  ];
  CreateTopics: [
    {
      topics: {
        topic: string;
        numPartitions: number;
        replicationFactor: number;
        configEntries: { name: string; value: string }[];
      }[];
      validateOnly: boolean;
      timeout: number;
    },
    { topicErrors: { topic: string; errorCode: number; errorMessage: string | null }[] },
  ];
  DescribeConfigs: [
    { resources: { type: number; name: string; configNames: string[] }[]; includeSynonyms: boolean },
    {
      resources: {
        errorCode: number;
        errorMessage: string | null;
        resourceName: string;
        configEntries: { configName: string; configValue: string | null }[];
      }[];
    },
  ];
}

export type Api = keyof Requests;

interface Protocol {
  request: { apiKey: number; apiName: string; apiVersion: number; encode(): Promise<unknown> };
  response: { decode(data: Buffer): Promise<unknown>; parse(data: unknown): Promise<unknown> };
  requestTimeout?: number;
}

interface RawConnection {
  connect(): Promise<unknown>;
  authenticate(): Promise<void>;
  setVersions(versions: object): void;
  setSupportAuthenticationProtocol(supported: boolean): void;
  send(protocol: Protocol & { logResponseError: boolean }): Promise<unknown>;
  rejectRequests(error: unknown): void;
  requestQueue: { destroy(): void };
}

type Lookup = (key: number, definition: object) => (options: object) => Protocol;

const require = createRequire(import.meta.url);
const Connection = require('kafkajs/src/network/connection') as new (options: object) => RawConnection;
const { requests, lookup } = require('kafkajs/src/protocol/requests') as {
  requests: Record<Api | 'ApiVersions', { protocol(options: { version: number }): () => Protocol }>;
  lookup: (versions: object) => Lookup;
};
const apiKeys = require('kafkajs/src/protocol/requests/apiKeys') as Record<string, number>;
const errors = require('kafkajs/src/protocol/error') as {
  errorCodes: { type: string; code: number; message: string; retriable: boolean }[];
};

/** Kafka's name of an error code. */
export function errorName(code: number): string {
  return errors.errorCodes.find((each) => each.code === code)?.type ?? `error ${code}`;
}

/** kafkajs' own lines, at debug: what matters of them is said by this driver in its own words. */
function quietLogger(log: Logger) {
  const write = (message: string, more?: object) => log.debug({ ...more }, `kafkajs: ${message}`);
  const logger = { namespace: () => logger, info: write, warn: write, error: write, debug: () => undefined };
  return logger;
}

/** One connection to one broker, authenticated. */
export class Link {
  readonly #connection: RawConnection;
  readonly #lost: Promise<never>;
  #lose!: (error: Error) => void;
  #socket: Socket | undefined;
  #lookup: Lookup | undefined;
  #requestTimeoutMs: number;
  #closed = false;

  private constructor(
    readonly address: Address,
    readonly options: LinkOptions,
  ) {
    this.#lost = new Promise((_resolve, reject) => (this.#lose = reject));
    this.#lost.catch(() => undefined);
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 8_000;
    this.#connection = new Connection({
      ...address,
      clientId: options.clientId,
      logger: quietLogger(options.log),
      ssl: options.tls,
      sasl: options.sasl && { ...options.sasl },
      connectionTimeout: options.connectTimeoutMs ?? 5_000,
      requestTimeout: this.#requestTimeoutMs,
      enforceRequestTimeout: true,
      socketFactory: (made: { onConnect: () => void }) => this.#makeSocket(made.onConnect),
    });
  }

  /** Rejects with what the network, TLS or kafkajs said; see `explain`. */
  static async open(address: Address, options: LinkOptions): Promise<Link> {
    const link = new Link(address, options);
    try {
      await link.#open();
      return link;
    } catch (error) {
      link.close();
      throw error;
    }
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** One request. Rejects when the link is lost or too slow, and is of no more use then. */
  async send<A extends Api>(api: A, options: Requests[A][0], timeoutMs?: number): Promise<Requests[A][1]> {
    if (!this.#lookup) throw unavailable('the link is not open');
    const protocol = this.#lookup(apiKeys[api]!, requests[api])(options);
    return (await this.#request(protocol, timeoutMs)) as Requests[A][1];
  }

  close(error: Error = unavailable(`the connection to ${nameOf(this.address)} was closed`)): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#lose(error);
    this.#connection.rejectRequests(error);
    this.#connection.requestQueue.destroy();
    this.#socket?.destroy();
  }

  async #open(): Promise<void> {
    const ms = this.options.connectTimeoutMs ?? 5_000;
    // A broker may close a connection without a word, and kafkajs would wait for one.
    const late = setTimeout(
      () => this.close(unavailable(`${nameOf(this.address)} did not answer within ${ms} ms`)),
      ms * 2,
    );
    try {
      await Promise.race([this.#connection.connect(), this.#lost]);
      const versions = await this.#versions();
      this.#lookup = lookup(versions);
      this.#connection.setVersions(versions);
      this.#connection.setSupportAuthenticationProtocol(apiKeys.SaslAuthenticate! in versions);
      await Promise.race([this.#connection.authenticate(), this.#lost]);
    } finally {
      clearTimeout(late);
    }
  }

  async #versions(): Promise<Record<number, { minVersion: number; maxVersion: number }>> {
    const answer = (await this.#request(
      requests.ApiVersions.protocol({ version: 2 })(),
      this.options.connectTimeoutMs ?? 5_000,
    )) as { apiVersions: { apiKey: number; minVersion: number; maxVersion: number }[] };
    return Object.fromEntries(
      answer.apiVersions.map(({ apiKey, minVersion, maxVersion }) => [apiKey, { minVersion, maxVersion }]),
    );
  }

  async #request(protocol: Protocol, timeoutMs?: number): Promise<unknown> {
    try {
      const answer = this.#connection.send({
        request: protocol.request,
        // Its own parse throws at the first part that failed, and with it the others away.
        response: { decode: (data) => protocol.response.decode(data), parse: async (data) => data },
        requestTimeout: timeoutMs ?? protocol.requestTimeout,
        logResponseError: false,
      });
      answer.catch(() => undefined);
      return await Promise.race([answer, this.#lost]);
    } catch (error) {
      // Also after a timeout: what comes in later would be taken for the answer to something else.
      this.close(error instanceof Error ? error : undefined);
      throw error;
    }
  }

  #makeSocket(onConnect: () => void): Socket {
    const { host, port } = this.address;
    const { tls } = this.options;
    const socket = tls
      ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...tls }, onConnect)
      : connectPlain({ host, port }, onConnect);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    let reason: Error | undefined;
    socket.on('error', (error) => (reason = error));
    socket.on('close', () => this.close(reason ?? new ConnectionClosedError(this.address)));
    this.#socket = socket;
    return socket;
  }
}

/** The broker closed the connection without saying why. */
export class ConnectionClosedError extends Error {
  constructor(address: Address) {
    super(`${nameOf(address)} closed the connection`);
    this.name = 'ConnectionClosedError';
  }
}

export const nameOf = ({ host, port }: Address): string => `${host}:${port}`;
