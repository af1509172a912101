import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { ended, startServer, type App, type KafkaServer, type PostgresServer, type S3Server } from './processes.js';

// Real: Postgres, Kafka, S3, the services' processes. Every mistake is named at the start, with the way to mend it.
describe('a service that cannot start', () => {
  let dir: string;
  let postgres: PostgresServer;
  let kafka: KafkaServer;
  let s3: S3Server;
  let env: Record<string, string>;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'aloft-services-'));
    [postgres, kafka, s3] = await Promise.all([
      startServer('postgres', join(dir, 'postgres')),
      startServer('kafka', join(dir, 'kafka')),
      startServer('s3', join(dir, 's3')),
    ]);
    env = {
      ALOFT_BUS_KAFKA_BROKERS: kafka.brokers.join(','),
      ALOFT_BUS_KAFKA_REPLICATION_FACTOR: '1',
      ALOFT_BUS_KAFKA_MIN_IN_SYNC_REPLICAS: '1',
      ALOFT_BUS_PARTITIONS: '2',
      ALOFT_BLOB_ENDPOINT: s3.endpoint,
      ALOFT_BLOB_ACCESS_KEY_ID: s3.accessKeyId,
      ALOFT_BLOB_SECRET_ACCESS_KEY: s3.secretAccessKey,
      ALOFT_ADMIN_ADDRESS: '127.0.0.1:1',
      ALOFT_CATALOG_ADDRESS: '127.0.0.1:1',
      ALOFT_PROPELLER_ADDRESS: '127.0.0.1:1',
      ALOFT_START_PATIENCE_MS: '0',
    };
    for (const app of ['admin', 'catalog', 'notifier'] as const) {
      const done = await ended(app, { ...of(app), ALOFT_DATABASE_ADMIN_URL: postgres.url }, 'migrate');
      expect(done).toMatchObject({ code: 0, message: '' });
    }
  }, 240_000);

  afterAll(async () => {
    await Promise.all([postgres, kafka, s3].map((server) => server?.stop()));
    await rm(dir, { recursive: true, force: true });
  }, 60_000);

  /** The settings of a service that would start. */
  function of(app: App): Record<string, string> {
    const url = new URL(postgres.url);
    url.username = `aloft_${app}`;
    url.password = `secret-of-${app}`;
    return { ...env, ALOFT_DATABASE_URL: url.href };
  }

  function withUrl(app: App, change: (url: URL) => void): Record<string, string> {
    const url = new URL(of(app)['ALOFT_DATABASE_URL']!);
    change(url);
    return { ...of(app), ALOFT_DATABASE_URL: url.href };
  }

  async function refused(app: App, settings: Record<string, string>, ...parts: (string | RegExp)[]): Promise<void> {
    const { code, message } = await ended(app, settings);
    expect({ code, message }).toEqual({ code: 1, message: expect.stringContaining(`${app} can't start`) });
    for (const part of parts) expect(message).toMatch(part);
    expect(message).not.toMatch(/^\s+at /m);
    expect(message).not.toContain('secret-of-');
  }

  async function sql(text: string): Promise<void> {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    await client.query(text);
    await client.end();
  }

  it('S-2: settings: every mistake at once, with its variable', async () => {
    const settings = {
      ...of('admin'),
      ALOFT_DATABASE_URL: 'mysql://x',
      ALOFT_GRPC_PORT: 'many',
      ALOFT_BUS_DRIVER: 'nats',
    };
    await refused(
      'admin',
      settings,
      '3 mistake',
      'ALOFT_DATABASE_URL',
      'postgresql://',
      'ALOFT_GRPC_PORT',
      '"postgres"',
    );
    await refused('admin', { ...of('admin'), ALOFT_BUS_KAFKA_BROKERS: '' }, 'BUS_KAFKA_BROKERS', 'host:port');
    await refused(
      'propeller',
      { ...of('propeller'), ALOFT_ADMIN_ADDRESS: 'admin' },
      'ALOFT_ADMIN_ADDRESS',
      'host:port',
    );
  }, 60_000);

  it('S-2: a database that cannot be reached', async () => {
    const settings = withUrl('catalog', (url) => (url.port = '1'));
    await refused('catalog', settings, 'database.url', '127.0.0.1:1', 'cannot be reached');
    const nowhere = withUrl('catalog', (url) => (url.hostname = 'nowhere.invalid'));
    await refused('catalog', nowhere, 'database.url', 'nowhere.invalid', 'cannot be reached');
  }, 60_000);

  it('S-2: wrong credentials and a wrong database', async () => {
    await refused(
      'catalog',
      withUrl('catalog', (url) => (url.password = 'wrong')),
      'aloft_catalog',
      'password',
    );
    await refused(
      'catalog',
      withUrl('catalog', (url) => (url.pathname = '/other')),
      'no database "other"',
      'create it',
    );
    await refused(
      'catalog',
      withUrl('catalog', (url) => {
        url.username = 'aloft_notifier';
        url.password = 'secret-of-notifier';
      }),
      'does not own schema "catalog"',
    );
  }, 60_000);

  it('S-2: no schema, one that is too old, one that is too new', async () => {
    const missing = withUrl('propeller', (url) => {
      url.username = 'aloft_admin';
      url.password = 'secret-of-admin';
    });
    await refused('propeller', missing, 'no schema "propeller"', 'main.js migrate', 'ALOFT_DATABASE_ADMIN_URL');
    const last = `(SELECT max(step) FROM catalog.aloft_migrations WHERE service = 'catalog')`;
    await sql(`DELETE FROM catalog.aloft_migrations WHERE service = 'catalog' AND step = ${last}`);
    await refused('catalog', of('catalog'), 'older than this binary', 'main.js migrate');
    await sql(`DROP SCHEMA catalog CASCADE`);
    const again = await ended('catalog', { ...of('catalog'), ALOFT_DATABASE_ADMIN_URL: postgres.url }, 'migrate');
    expect(again.code).toBe(0);
    await sql(
      `INSERT INTO catalog.aloft_migrations (service, step, name, checksum) VALUES ('catalog', 99, 'of tomorrow', '')`,
    );
    await refused('catalog', of('catalog'), 'newer than this binary', 'of tomorrow');
  }, 90_000);

  it('S-2: a bucket that is not there, keys that are not taken, storage that cannot be reached', async () => {
    await refused('admin', { ...of('admin'), ALOFT_BLOB_BUCKET: 'nobodys' }, 'nobodys');
    await refused('admin', { ...of('admin'), ALOFT_BLOB_ACCESS_KEY_ID: 'wrong' }, 'blob.accessKeyId', 'mend them');
    await refused(
      'admin',
      { ...of('admin'), ALOFT_BLOB_SECRET_ACCESS_KEY: 'wrong' },
      'blob.secretAccessKey',
      'mend them',
    );
    await refused(
      'admin',
      { ...of('admin'), ALOFT_BLOB_ENDPOINT: 'http://127.0.0.1:1' },
      'blob.endpoint',
      'cannot be reached',
    );
  }, 120_000);

  it('S-2: Kafka: no broker, too few of them, missing topics that it may not make', async () => {
    await refused('notifier', { ...of('notifier'), ALOFT_BUS_KAFKA_BROKERS: '127.0.0.1:1' }, '127.0.0.1:1');
    const prefix = { ALOFT_BUS_KAFKA_TOPIC_PREFIX: 'fresh.' };
    await refused(
      'notifier',
      { ...of('notifier'), ...prefix, ALOFT_BUS_KAFKA_REPLICATION_FACTOR: '3' },
      'replicationFactor is 3',
      '1 live broker',
    );
    await refused(
      'notifier',
      { ...of('notifier'), ...prefix, ALOFT_BUS_KAFKA_CREATE_TOPICS: 'false' },
      'topics are missing',
      'kafka-topics.sh',
    );
  }, 120_000);

  it('an unknown command is refused, and migrate may be repeated', async () => {
    expect(await ended('notifier', of('notifier'), 'migrat')).toMatchObject({
      code: 1,
      message: expect.stringContaining('"migrate"'),
    });
    expect(await ended('notifier', of('notifier'), 'migrate')).toMatchObject({ code: 0, message: '' });
  }, 60_000);
});
