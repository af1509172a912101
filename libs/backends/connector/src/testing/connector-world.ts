import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { BackendPlugin } from '@aloft/backend-kit';
import { integerType, launchOf, type Behaviour, type ConformanceWorld } from '@aloft/backend-kit/testing';
import { createLocalBlobStore, type BlobStore } from '@aloft/blob';
import type { LaunchTask, TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { createLogger } from '@aloft/telemetry';
import { createConnectorBackend, defaultTimeouts, grpcMessageBytes } from '../index.js';

type Launch = LaunchTask & { attempt: TaskAttempt };

/** Jobs of the test connector, which flytekit serves at `address`. */
export class ConnectorWorld implements ConformanceWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'aloft-connector-'));
  readonly blob: BlobStore;
  private readonly folders = new Map<string, string>();

  /** `blob`: default a folder, which connectors cannot read. */
  constructor(
    private readonly address: string,
    blob?: BlobStore,
  ) {
    this.blob = blob ?? createLocalBlobStore({ dir: join(this.folder, 'blob'), durable: false });
  }

  plugin(): BackendPlugin {
    return createConnectorBackend(
      {
        servers: [
          {
            name: 'test',
            address: this.address,
            taskTypes: [],
            maxRequestBytes: grpcMessageBytes,
            timeoutsMs: defaultTimeouts,
          },
        ],
        slots: 200,
        listEveryMs: 30_000,
        maxMessageBytes: 64 * 1024 * 1024,
        observe: { everyMs: 200, maxLogBytes: 1024 * 1024, publicUrl: () => 'http://localhost:8088' },
        limits: { pollMs: { first: 50, longest: 200 }, reads: { concurrency: 32, perSecond: 2_000 } },
      },
      createLogger('connector', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' }),
    );
  }

  async kill(plugin: BackendPlugin): Promise<void> {
    await plugin.stop();
  }

  launch(
    behaviour: Behaviour | 'be-refused' | 'measure',
    options: { name: string; generation?: number; cpu?: string },
  ): Launch {
    const launch = launchOf({ ...options, type: 'aloft_test_async', outputs: { x: integerType } });
    launch.template = { ...launch.template!, custom: { behaviour, folder: this.folder }, target: undefined };
    this.folders.set(keyOf(launch.attempt), join(this.folder, launch.attempt.name, basename(launch.outputPrefix)));
    return launch;
  }

  async finish(attempt: TaskAttempt): Promise<void> {
    const folder = this.of(attempt);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'finish'), '');
  }

  async started(attempt: TaskAttempt): Promise<void> {
    // The job may be on its way before its connector has written down which process it is.
    const pid = join(this.of(attempt), 'pid');
    while ((await this.starts(attempt)) === 0 || !existsSync(pid) || readFileSync(pid).length === 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async starts(attempt: TaskAttempt): Promise<number> {
    const marks = join(this.of(attempt), 'starts');
    return existsSync(marks) ? readFileSync(marks, 'utf8').trim().split('\n').length : 0;
  }

  async alive(attempt: TaskAttempt): Promise<boolean> {
    try {
      const pid = readFileSync(join(this.of(attempt), 'pid'), 'utf8');
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z';
    } catch {
      return false;
    }
  }

  /** The connector's next so many deletes fail. */
  failDeletes(count: number): void {
    writeFileSync(join(this.folder, 'failing-deletes'), String(count));
  }

  /** Where the attempt's job is. */
  of(attempt: TaskAttempt): string {
    return this.folders.get(keyOf(attempt)) ?? join(this.folder, 'none');
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

const keyOf = ({ name, generation }: TaskAttempt): string => `${name}/${generation}`;
