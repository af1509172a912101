import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createLocalBlobStore,
  createS3Endpoint,
  type BlobAccess,
  type LocalBlobStore,
  type S3Endpoint,
} from '@aloft/blob';
import { allowPublishing, busMigrations, createPostgresBus, postgresBusMigrations, type Bus } from '@aloft/bus';
import {
  createService,
  migrate,
  openDatabase,
  startEmbeddedPostgres,
  type Database,
  type EmbeddedPostgres,
  type Migration,
} from '@aloft/database';
import { AloftError } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import type { StandaloneConfig } from './config.js';

/** One app's part of the database: its schema, its role, its tables. */
export interface ServiceSchema {
  schema: string;
  migrations: readonly Migration[];
  /** Topics it publishes to (`tasks.commands.%`). */
  publishes: readonly string[];
  poolSize: number;
}

/** What the services stand on in one process: Postgres, the bus over it, the blob folder and its S3 endpoint. */
export interface Infrastructure {
  /** Of a service's own schema. */
  databaseOf(schema: string): Database;
  bus: Bus;
  blob: LocalBlobStore;
  blobAccess: BlobAccess;
  postgres: EmbeddedPostgres;
  /** Flushes and closes, the bus first, Postgres last. */
  close(): Promise<void>;
}

export async function startInfrastructure(
  config: StandaloneConfig,
  schemas: readonly ServiceSchema[],
  logger: Logger,
): Promise<Infrastructure> {
  const secrets = await loadSecrets(config.dataDir);
  const closing: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    const postgres = await startEmbeddedPostgres({
      dataDir: join(config.dataDir, 'postgres'),
      port: config.postgres.port || undefined,
      logger: logger.child({ part: 'postgres' }),
    });
    closing.push(() => postgres.stop());
    const { bus, databases, end } = await openDatabases(postgres.socketUrl, schemas, logger);
    closing.push(end);
    const { blob, access, stop } = await startBlobStorage(config, secrets, logger);
    closing.push(stop);
    const databaseOf = (schema: string): Database => {
      const database = databases.get(schema);
      if (!database) throw new AloftError('INTERNAL', `no database was opened for ${schema}`);
      return database;
    };
    return { databaseOf, bus, blob, blobAccess: access, postgres, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openDatabases(adminUrl: string, schemas: readonly ServiceSchema[], logger: Logger) {
  const open = async (schema: string, poolSize: number) => {
    const credentials = await createService(adminUrl, { schema });
    const database = openDatabase({ url: credentials.url, schema, poolSize, logger });
    return { role: credentials.role, database };
  };
  const busService = await open('bus', 4);
  await migrate(busService.database, 'bus', postgresBusMigrations);
  const opened = await Promise.all(
    schemas.map(async ({ schema, migrations, publishes, poolSize }) => {
      const { role, database } = await open(schema, poolSize);
      await migrate(database, 'bus', busMigrations);
      await migrate(database, schema, migrations);
      await allowPublishing(busService.database, role, publishes);
      return [schema, database] as const;
    }),
  );
  const bus = createPostgresBus({ database: busService.database, logger });
  const end = async (): Promise<void> => {
    await bus.close();
    await Promise.all(opened.map(([, database]) => database.close()));
    await busService.database.close();
  };
  return { bus, databases: new Map(opened), end };
}

async function startBlobStorage(config: StandaloneConfig, secrets: Secrets, logger: Logger) {
  const credentials = { accessKeyId: secrets.accessKeyId, secretAccessKey: secrets.secretAccessKey };
  const blob = createLocalBlobStore({
    dir: join(config.dataDir, 'blob'),
    buckets: ['aloft'],
    endpoint: () => s3.url,
    credentials,
  });
  const s3: S3Endpoint = createS3Endpoint({ objects: blob.objects, credentials, logger: logger.child({ part: 's3' }) });
  const endpoint = await listen(s3, config.host, config.s3.port, secrets.s3Port);
  const port = Number(new URL(endpoint).port);
  if (port !== secrets.s3Port) await saveSecrets(config.dataDir, { ...secrets, s3Port: port });
  const access: BlobAccess = { endpoint, region: 'us-east-1', ...credentials };
  return { blob, access, stop: () => s3.close() };
}

/** The port that was asked for; else the one it had before, or any free one if somebody else has that by now. */
async function listen(s3: S3Endpoint, host: string, asked: number, before: number): Promise<string> {
  if (asked !== 0 || before === 0) return s3.listen(asked, host);
  try {
    return await s3.listen(before, host);
  } catch (error) {
    if (error instanceof AloftError && error.code === 'UNAVAILABLE') return s3.listen(0, host);
    throw error;
  }
}

/** Made at the first start, kept in the data folder, readable by its owner only. */
interface Secrets {
  accessKeyId: string;
  secretAccessKey: string;
  /** Tasks that outlive a crash of the platform go on talking to this port. */
  s3Port: number;
}

async function loadSecrets(dataDir: string): Promise<Secrets> {
  await mkdir(dataDir, { recursive: true });
  try {
    return JSON.parse(await readFile(join(dataDir, 'secrets.json'), 'utf8')) as Secrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const secrets = { accessKeyId: 'aloft', secretAccessKey: randomBytes(24).toString('base64url'), s3Port: 0 };
    await saveSecrets(dataDir, secrets);
    return secrets;
  }
}

async function saveSecrets(dataDir: string, secrets: Secrets): Promise<void> {
  await writeFile(join(dataDir, 'secrets.json'), `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
}
