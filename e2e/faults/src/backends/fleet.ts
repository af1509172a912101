import { join } from 'node:path';
import { backendsMigrations } from '@aloft/backends';
import { createLocalBlobStore } from '@aloft/blob';
import { busMigrations, createPostgresBus, postgresBusMigrations } from '@aloft/bus';
import { type Database, migrate, openDatabase } from '@aloft/database';
import { createLogger } from '@aloft/telemetry';
import { startPostgres, type PostgresServer } from '../platform/infra.js';
import { leftOvers } from '../platform/left-overs.js';
import { Host, partitions } from './host.js';
import type { Part } from './part.js';
import type { Plant } from './plants.js';
import { Propeller } from './propeller.js';
import type { Weather } from './weather.js';

export interface FleetSettings {
  part: Part;
  weather: Weather;
  folder: string;
  /** One has the backend to itself; several share it. */
  count: number;
  plant?: Plant | undefined;
  incidents: string[];
  tell: (text: string) => void;
}

/** The hosts of one backend, and what they stand on: Postgres with the bus and their tables, blob storage, a propeller. */
export class Fleet {
  private constructor(
    readonly hosts: readonly Host[],
    readonly propeller: Propeller,
    private readonly folder: string,
    private readonly closing: readonly (() => Promise<void>)[],
  ) {}

  static async start(settings: FleetSettings): Promise<Fleet> {
    const { part, folder, count } = settings;
    const postgres = await startPostgres(join(folder, 'postgres'));
    const databases = await migrated(postgres);
    const logger = createLogger('faults', { level: 'error' });
    const bus = createPostgresBus({ database: databases.bus, logger, partitions });
    const blobDir = join(folder, 'blob');
    const propeller = new Propeller({
      bus,
      database: databases.bus,
      blob: createLocalBlobStore({ dir: blobDir, durable: false }),
      topic: `tasks.commands.${part.backend}`,
      prepare: (launch, fate, runMs) => part.prepare(launch, fate, runMs),
      onPublished: () => {
        for (const host of hosts) host.told();
      },
    });
    const address = { host: '127.0.0.1', port: postgres.port, url: postgres.url };
    const hosts = await Promise.all(
      Array.from({ length: count }, (_, i) =>
        Host.make({
          ...settings,
          name: `host-${i}`,
          postgres: address,
          blobDir,
          shared: count > 1,
          onUnexpectedEnd: (how) => settings.incidents.push(`host-${i} ended by itself: it ${how}`),
        }),
      ),
    );
    const closing = [
      () => propeller.stop(),
      () => bus.close(),
      () => databases.bus.close(),
      () => databases.backends.close(),
      () => postgres.stop(),
    ];
    const fleet = new Fleet(hosts, propeller, folder, closing);
    try {
      propeller.start();
      await Promise.all(hosts.map((host) => host.process.start()));
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  /** Answers what was wrong with that. */
  async stop(): Promise<string[]> {
    const wrong = (await Promise.all(this.hosts.map((host) => host.close()))).flat();
    for (const close of this.closing) await close();
    return [...wrong, ...(await leftOvers(this.folder, []))];
  }
}

async function migrated({ url }: PostgresServer): Promise<{ bus: Database; backends: Database }> {
  const logger = createLogger('faults', { level: 'error' });
  const open = async (schema: string) => {
    const database = openDatabase({ url, schema, poolSize: 4, logger });
    await database.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
    return database;
  };
  const [bus, backends] = [await open('bus'), await open('backends')];
  await migrate(bus, 'bus', postgresBusMigrations);
  await migrate(backends, 'backends', backendsMigrations);
  await migrate(backends, 'bus', busMigrations);
  return { bus, backends };
}
