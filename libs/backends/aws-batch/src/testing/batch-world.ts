import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackendPlugin } from '@aloft/backend-kit';
import {
  type Behaviour,
  type ConformanceWorld,
  integerType,
  launchOf,
  shellScripts,
  writeShellFiles,
  type LaunchOptions,
} from '@aloft/backend-kit/testing';
import { createLocalBlobStore } from '@aloft/blob';
import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { createLogger } from '@aloft/telemetry';
import { BatchApi, backendOf, defaultOptions, type AwsBatchOptions } from '../index.js';

export const testLogger = createLogger('aws-batch', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' });

/** Settings for a Batch on this machine, which is asked often. */
export function testOptions(endpoint: string, more: Partial<AwsBatchOptions> = {}): AwsBatchOptions {
  return {
    ...defaultOptions,
    region: 'us-east-1',
    endpoint,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    queues: [
      { name: 'all', onDemand: 'on-demand', spot: 'spot', platform: 'EC2', projects: [], domains: [], tags: [] },
    ],
    pollMs: { first: 20, longest: 200 },
    callsPerSecond: { read: 500, write: 500 },
    slots: 1_000,
    settleMs: 100,
    ...more,
  };
}

/** What each behaviour does, in the shell; `$1` is the folder of its outputs, `$2` that with prepared files. */
const scripts = { ...shellScripts, 'use-memory': 'exit 137' };

/** Jobs of a Batch on this machine whose containers are processes of it. */
export class BatchWorld implements ConformanceWorld {
  readonly dir = mkdtempSync(join(tmpdir(), 'aloft-batch-'));
  readonly blob = createLocalBlobStore({ dir: join(this.dir, 'blob'), durable: false });
  private readonly fixtures = join(this.dir, 'fixtures');

  constructor(
    private readonly endpoint: string,
    private readonly options: Partial<AwsBatchOptions> = {},
    private readonly onClose: () => Promise<void> = async () => undefined,
  ) {
    writeShellFiles(this.fixtures);
  }

  api(more: Partial<AwsBatchOptions> = {}): BatchApi {
    return new BatchApi(testOptions(this.endpoint, { ...this.options, ...more }), testLogger);
  }

  plugin(more: Partial<AwsBatchOptions> = {}): BackendPlugin {
    return backendOf(this.api(more), testOptions(this.endpoint, { ...this.options, ...more }));
  }

  async kill(plugin: BackendPlugin): Promise<void> {
    await plugin.stop();
  }

  launch(behaviour: Behaviour, { name, generation = 1, ...more }: Partial<LaunchOptions> & { name: string }) {
    const mark = `${name}.${generation}`;
    if (behaviour === 'until-finished') {
      const fifo = join(this.fixtures, `${mark}.fifo`);
      if (!existsSync(fifo)) execFileSync('mkfifo', [fifo]);
    }
    const options: LaunchOptions = {
      name,
      generation,
      outputs: { x: integerType },
      env: { MARK: mark, ALOFT_TEST_BEHAVIOUR: behaviour },
      ...more,
      ...(behaviour === 'run-over-time' ? { executionTimeoutMs: 300 } : {}),
    };
    const script = behaviour === 'be-unstartable' ? '' : scripts[behaviour];
    const { outputPrefix } = launchOf(options);
    const outputs = this.blob.localPath(outputPrefix) ?? '';
    const launch = launchOf({
      ...options,
      args: ['sh', '-c', `mkdir -p "$1"; echo started >> "$2/$MARK.mark"\n${script}`, 'task', outputs, this.fixtures],
    });
    if (behaviour === 'be-unstartable' && launch.template?.target?.$case === 'container')
      launch.template.target.value.image = 'no-such-thing:1';
    return launch;
  }

  async finish(attempt: TaskAttempt): Promise<void> {
    await writeFile(join(this.fixtures, `${attempt.name}.${attempt.generation}.fifo`), 'go\n');
  }

  async started(attempt: TaskAttempt): Promise<void> {
    while ((await this.starts(attempt)) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async starts(attempt: TaskAttempt): Promise<number> {
    const mark = join(this.fixtures, `${attempt.name}.${attempt.generation}.mark`);
    return existsSync(mark) ? readFileSync(mark, 'utf8').trim().split('\n').length : 0;
  }

  /** Whether a process carries the attempt's mark in its environment. */
  async alive(attempt: TaskAttempt): Promise<boolean> {
    const wanted = `MARK=${attempt.name}.${attempt.generation}`;
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .some((pid) => {
        try {
          return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(wanted);
        } catch {
          return false;
        }
      });
  }

  async close(): Promise<void> {
    await this.onClose();
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
