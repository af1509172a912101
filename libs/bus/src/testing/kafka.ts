import { createLogger } from '@aloft/telemetry';
import type { Migration } from '@aloft/database';
import { testDatabase, type TestDatabase } from '@aloft/database/testing';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { busMigrations } from '../consumer/migrations.js';
import { createKafkaBus, type KafkaBus, type KafkaBusOptions } from '../kafka/index.js';

/** A broker of `tools/infra/kafka.mjs`. */
export interface KafkaBroker {
  readonly brokers: string[];
  readonly port: number;
  readonly pid: number;
  readonly dir: string;
  stop(): Promise<void>;
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
  restart(options?: { hard?: boolean }): Promise<void>;
}

export interface TestKafka extends KafkaBroker {
  /** Ends it and removes its folder. */
  dispose(): Promise<void>;
}

export interface KafkaBrokerOptions {
  port?: number;
  security?: {
    protocol: 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';
    keystore?: { path: string; password: string };
    scram?: { mechanism: string; username: string; password: string }[];
    plain?: Record<string, string>;
    oauth?: boolean;
  };
  properties?: Record<string, string | number | boolean>;
}

/** A real broker in a folder of its own. */
export async function startTestKafka(options: KafkaBrokerOptions = {}): Promise<TestKafka> {
  const dir = mkdtempSync(join(tmpdir(), 'aloft-kafka-'));
  const script = new URL('../../../../tools/infra/kafka.mjs', import.meta.url);
  const { start } = (await import(script.href)) as { start(all: object): Promise<KafkaBroker> };
  const broker = await start({ ...options, dir });
  return Object.assign(broker, {
    // Without the ceremony of a peaceful end: nothing of it is read again.
    dispose: async () => {
      await broker.kill();
      rmSync(dir, { recursive: true, force: true });
    },
  });
}

export interface TestKafkaBusOptions extends Partial<Omit<KafkaBusOptions, 'database' | 'brokers'>> {
  broker: KafkaBroker;
  /** The service under test: its schema gets `busMigrations` and these. */
  schema: string;
  migrations?: readonly Migration[];
}

export interface TestKafkaBus extends TestDatabase {
  bus: KafkaBus;
  topicPrefix: string;
  /** Another process' bus of the same service. */
  openBus(more?: Partial<KafkaBusOptions>): KafkaBus;
}

export const testTopics = [
  'executions.events',
  'executions.commands',
  'registry.events',
  'tasks.reports',
  'tasks.commands.test',
];

/** A database with a service's schema, topics of its own on a broker, and a started bus. `drop` closes everything. */
export async function testKafkaBus(options: TestKafkaBusOptions): Promise<TestKafkaBus> {
  const { broker, schema, migrations = [], partitions = 1, ...busOptions } = options;
  const test = await testDatabase({
    schema,
    migrations,
    also: [{ schema, service: 'bus', migrations: busMigrations }],
  });
  const topicPrefix = `t${randomBytes(4).toString('hex')}.`;
  // Tests make things fail on purpose.
  const logger = createLogger('bus', { level: process.env.ALOFT_TEST_LOG ?? 'silent' });
  const buses: KafkaBus[] = [];
  const openBus = (more: Partial<KafkaBusOptions> = {}) => {
    const bus = createKafkaBus({
      logger,
      topics: testTopics,
      partitions,
      replicationFactor: 1,
      minInSyncReplicas: 1,
      topicPrefix,
      ...busOptions,
      brokers: broker.brokers,
      database: test.open(schema, 4),
      ...more,
    });
    buses.push(bus);
    return bus;
  };
  const bus = openBus();
  await bus.start();
  return {
    ...test,
    bus,
    topicPrefix,
    openBus,
    drop: async () => {
      await Promise.all(buses.map((each) => each.close()));
      await test.drop();
    },
  };
}
