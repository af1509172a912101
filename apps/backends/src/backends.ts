import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BackendHost, backendMigrations, type BackendPlugin, PostgresWorkStore } from '@aloft/backend-kit';
import type { BlobStore } from '@aloft/blob';
import type { Bus } from '@aloft/bus';
import type { Database } from '@aloft/database';
import type { HealthRegistry, Logger, Metrics } from '@aloft/telemetry';
import type { BackendsConfig } from './config.js';
import { createLocalBackend, type LocalBackendSurroundings } from './local-backend.js';

/** Tables in the schema `backends`, besides those of the bus's consumer (`busMigrations`). */
export const backendsMigrations = backendMigrations;

export interface BackendsDependencies extends LocalBackendSurroundings {
  config: BackendsConfig;
  /** On the schema `backends`, migrated with `backendsMigrations` and `busMigrations`. */
  database: Database;
  bus: Bus;
  blob: BlobStore;
  logger: Logger;
  metrics?: Metrics;
  health?: HealthRegistry;
  /** Besides those that the configuration names. */
  plugins?: readonly BackendPlugin[];
}

/** All backend hosts of this process: started after migrations, stopped before the bus and the database close. */
export class Backends {
  private readonly plugins: readonly BackendPlugin[];
  private readonly hosts = new Map<string, BackendHost>();
  private readonly checks: (() => void)[] = [];
  private readonly lost = new Map<string, string>();

  constructor(private readonly dependencies: BackendsDependencies) {
    const { config, plugins = [], logger, ...rest } = dependencies;
    this.plugins = [
      ...(config.local.enabled ? [createLocalBackend(config.local, rest, logger.child({ backend: 'local' }))] : []),
      ...plugins,
    ];
    this.measure();
  }

  /** Names of the backends, as the propeller's configuration lists them. */
  get names(): string[] {
    return this.plugins.map(({ name }) => name);
  }

  async start(): Promise<void> {
    const hostId = await stableId(join(this.dependencies.dataDir, 'work'));
    for (const plugin of this.plugins) {
      const host = this.hostOf(plugin, hostId);
      this.hosts.set(plugin.name, host);
      await host.start();
      const off = this.dependencies.health?.add('ready', `backend ${plugin.name}`, () => {
        const why = this.lost.get(plugin.name);
        if (why !== undefined) throw new Error(why);
      });
      if (off) this.checks.push(off);
    }
  }

  /** Running work goes on and is found again by the next process. */
  async stop(): Promise<void> {
    for (const off of this.checks.splice(0)) off();
    for (const host of [...this.hosts.values()].reverse()) await host.stop();
    this.hosts.clear();
  }

  private hostOf(plugin: BackendPlugin, hostId: string): BackendHost {
    const { config, bus, database, blob, logger } = this.dependencies;
    return new BackendHost({
      plugin,
      bus,
      database,
      store: new PostgresWorkStore(database, plugin.name),
      blob,
      logger,
      name: hostId,
      leaseMs: config.leaseMs,
      fenceMs: config.fenceMs,
      patienceMs: config.patienceMs,
      maxBatch: config.maxBatch,
      onLost: (state) =>
        this.lost.set(
          plugin.name,
          state === 'fenced'
            ? `another process runs the host ${hostId} of the backend "${plugin.name}"`
            : `the lease of the backend "${plugin.name}" ended and its work was taken over`,
        ),
    });
  }

  private measure(): void {
    this.dependencies.metrics?.gauge({
      name: 'aloft_backend_attempts',
      help: 'Attempts that a backend host holds',
      labels: ['backend', 'state'],
      collect: (gauge) => {
        for (const [name, host] of this.hosts) {
          const { waiting, inUse, unacknowledged } = host.status;
          gauge.set({ backend: name, state: 'waiting' }, waiting);
          gauge.set({ backend: name, state: 'running' }, inUse.slots);
          gauge.set({ backend: name, state: 'unacknowledged' }, unacknowledged);
        }
      },
    });
  }
}

/** Who holds attempts on this machine: the same after every restart on the same data folder. */
async function stableId(folder: string): Promise<string> {
  const path = join(folder, 'host-id');
  try {
    const id = (await readFile(path, 'utf8')).trim();
    if (id !== '') return id;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await mkdir(folder, { recursive: true });
  const id = randomUUID();
  await writeFile(`${path}.new`, `${id}\n`);
  await rename(`${path}.new`, path);
  return id;
}
