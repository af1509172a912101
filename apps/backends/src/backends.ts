import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BackendHost,
  type BackendHostOptions,
  backendMigrations,
  type BackendPlugin,
  PostgresHostChannel,
  PostgresWorkStore,
} from '@aloft/backend-kit';
import { createKubernetesBackend } from '@aloft/backend-kubernetes';
import spark from '@aloft/backend-spark';
import type { BlobStore } from '@aloft/blob';
import type { Bus } from '@aloft/bus';
import type { Database } from '@aloft/database';
import { invalidArgument } from '@aloft/errors';
import type { HealthRegistry, Logger, Metrics } from '@aloft/telemetry';
import { awsBatchBackend } from './aws-batch-backend.js';
import type { BackendsConfig } from './config.js';
import { connectorBackend } from './connector-backend.js';
import type { PluginMaker } from './external-backends.js';
import { HostRun, measure } from './host-run.js';
import { createLocalBackend, type LocalBackendSurroundings } from './local-backend.js';
import { platformView } from './platform-view.js';

/** Tables in the schema `backends`, besides those of the bus's consumer (`busMigrations`). */
export const backendsMigrations = backendMigrations;

export interface BackendsDependencies extends LocalBackendSurroundings {
  config: BackendsConfig;
  /** On the schema `backends`, migrated with `backendsMigrations` and `busMigrations`. */
  database: Database;
  bus: Bus;
  blob: BlobStore;
  /** Other processes have hosts of the same backends: they take over, hand over and share work (default: no). */
  shared?: boolean;
  logger: Logger;
  metrics?: Metrics;
  health?: HealthRegistry;
  /** Of the configuration's `plugins` (see `loadBackends`). */
  plugins?: readonly PluginMaker[];
}

/** All backend hosts of this process: started after migrations, stopped before the bus and the database close. */
export class Backends {
  private readonly runs: HostRun[];
  private readonly checks: (() => void)[] = [];
  private hostId = '';
  private drainMs: number;

  constructor(private readonly dependencies: BackendsDependencies) {
    const { config, plugins = [], logger, ...rest } = dependencies;
    const local = () => createLocalBackend(config.local, rest, logger.child({ backend: 'local' }));
    const connector = () => connectorBackend(config.connector, rest, logger.child({ backend: 'connector' }));
    const awsBatch = () => awsBatchBackend(config.awsBatch, rest, logger.child({ backend: 'aws-batch' }));
    const kubernetes = () => createKubernetesBackend(config.kubernetes, rest, logger.child({ backend: 'kubernetes' }));
    const { enabled: withSpark, ...sparkOptions } = config.spark;
    const sparkDrivers = () =>
      spark.create(sparkOptions, {
        name: 'spark',
        logger: logger.child({ backend: 'spark' }),
        env: process.env,
        dataDir: join(rest.dataDir, 'spark'),
        platform: platformView(rest),
      });
    const makers = [
      ...(config.local.enabled ? [local] : []),
      ...(config.connector.servers.length > 0 ? [connector] : []),
      ...(config.awsBatch.queues.length > 0 ? [awsBatch] : []),
      ...(config.kubernetes.clusters.length > 0 ? [kubernetes] : []),
      ...(withSpark ? [sparkDrivers] : []),
      ...plugins,
    ];
    this.runs = makers.map((make) => new HostRun(make, (plugin, onLost) => this.hostOf(plugin, onLost), logger));
    this.drainMs = config.drainMs;
    requireDistinct(this.names);
    measure(this.runs, dependencies.metrics);
  }

  /** Names of the backends, as the propeller's configuration lists them. */
  get names(): string[] {
    return this.runs.map(({ name }) => name);
  }

  /** Task types that backends here have found to be their own, with whose they are; of several backends the first has it. */
  discovered(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const { name, taskTypes } of this.runs) for (const type of taskTypes) found[type] ??= name;
    return found;
  }

  async start(): Promise<void> {
    this.hostId = await stableId(join(this.dependencies.dataDir, 'work'));
    for (const run of this.runs) {
      await run.start();
      const off = this.dependencies.health?.add('ready', `backend ${run.name}`, () => {
        if (run.trouble !== undefined) throw new Error(run.trouble);
      });
      if (off) this.checks.push(off);
    }
  }

  /** Running work goes on, or is handed over: `onStop`, within `remainingMs` if that is known. */
  async stop(remainingMs = Infinity): Promise<void> {
    for (const off of this.checks.splice(0)) off();
    // Ending what is left takes its grace time, telling so a moment.
    this.drainMs = Math.max(0, Math.min(this.drainMs, remainingMs - this.dependencies.config.local.graceMs - 5_000));
    await Promise.all(this.runs.map((run) => run.stop(this.drainMs)));
  }

  private hostOf(plugin: BackendPlugin, onLost: BackendHostOptions['onLost']): BackendHost {
    const { config, bus, database, blob, logger, shared = false } = this.dependencies;
    return new BackendHost({
      plugin,
      bus,
      database,
      store: new PostgresWorkStore(database, plugin.name),
      blob,
      logger,
      links: config.links,
      name: this.hostId,
      ...(shared ? { channel: new PostgresHostChannel(database, plugin.name, this.hostId, logger) } : {}),
      leaseMs: config.leaseMs,
      onStop: config.onStop ?? (shared ? 'hand-over' : 'leave'),
      fenceMs: config.fenceMs,
      patienceMs: config.patienceMs,
      maxBatch: config.maxBatch,
      ...(onLost ? { onLost } : {}),
    });
  }
}

function requireDistinct(names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined)
    throw invalidArgument(`backends.plugins.${twice}: there is a backend "${twice}" already; give it another name`);
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
