import type { ConnectionOptions } from 'node:tls';
import type { Database } from '@aloft/database';
import type { Logger, Metrics } from '@aloft/telemetry';
import type { ReaderVersions } from '../envelope.js';
import type { KafkaSasl } from './client/security.js';

export interface KafkaBusOptions {
  /** `host:port` of some brokers of the cluster. */
  brokers: readonly string[];
  /** Shown in the brokers' logs and quotas (default `aloft`). */
  clientId?: string;
  /** TLS: `true`, or Node's options (`ca`, `cert`, `key`, `rejectUnauthorized`). */
  tls?: ConnectionOptions | true;
  sasl?: KafkaSasl;
  /** Put before every topic's name, for several installations on one cluster (default none). */
  topicPrefix?: string;
  /** Partitions of every topic; fixed when the installation is made (default 8). */
  partitions?: number;
  /** Default 3. */
  replicationFactor?: number;
  /** Default 2. */
  minInSyncReplicas?: number;
  /** How long messages are kept at least (default 7 days). */
  retentionMs?: number;
  /** Whether `start` makes the topics that are missing (default true). */
  createTopics?: boolean;
  /** The topics that this process publishes to or reads: checked by `start`. */
  topics: readonly string[];
  /**
   * The publishing service's own schema, whose `busMigrations` hold its outbox. Without it nothing can be published (but
   * delivered). Not closed by the bus.
   */
  database?: Database;
  /** How long `start` waits for brokers that can't be reached yet (default 30,000 ms). */
  startTimeoutMs?: number;
  /** How long `deliver` goes on trying (default 30,000 ms). */
  deliverTimeoutMs?: number;
  /** Schema versions that this process' readers understand, by message type (default 1). */
  readerVersions?: ReaderVersions;
  logger?: Logger;
  metrics?: Metrics;
}
