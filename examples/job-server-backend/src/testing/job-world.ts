import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackendPlugin, Launch } from '@aloft/backend-kit';
import {
  integerType,
  launchOf,
  shellScripts,
  writeShellFiles,
  type Behaviour,
  type ConformanceWorld,
  type LaunchOptions,
} from '@aloft/backend-kit/testing';
import { createLocalBlobStore } from '@aloft/blob';
import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { createLogger } from '@aloft/telemetry';
import module from '../index.js';
import type { JobState } from '../job.js';
import type { JobServerProcess } from './job-server-process.js';

/** What each behaviour does, in the shell; `$1` is where outputs go, `$2` the folder with prepared files, `$3` the attempt's mark. */
const scripts: Partial<Record<Behaviour, string>> = {
  ...shellScripts,
  'until-finished': 'while [ ! -e "$2/$3.finish" ]; do sleep 0.02; done; cp "$2/seven.pb" "$1/outputs.pb"',
};

/** Shell commands as jobs of a job server of its own, with storage that is a folder. */
export class JobWorld implements ConformanceWorld {
  private readonly folder = mkdtempSync(join(tmpdir(), 'aloft-jobs-'));
  private readonly files = join(this.folder, 'files');
  readonly blob = createLocalBlobStore({ dir: join(this.folder, 'blob'), durable: false });

  constructor(private readonly server: JobServerProcess) {
    writeShellFiles(this.files);
  }

  plugin(): BackendPlugin {
    return module.create(
      { address: this.server.address, slots: 200, pollMs: { first: 20, longest: 200 } },
      {
        name: 'jobs',
        logger: createLogger('jobs', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' }),
        dataDir: join(this.folder, 'plugin'),
        env: process.env,
        platform: {
          storage: () => ({}),
          publicUrl: () => 'http://localhost:8088',
          address: () => undefined,
          python: 'python3',
        },
      },
    );
  }

  async kill(plugin: BackendPlugin): Promise<void> {
    await plugin.stop();
  }

  launch(behaviour: Behaviour, options: LaunchOptions): Launch {
    const { name, generation = 1 } = options;
    const complete: LaunchOptions = {
      ...options,
      outputs: { x: integerType },
      ...(behaviour === 'run-over-time' ? { executionTimeoutMs: 300 } : {}),
    };
    const { bucket, key } = splitUri(launchOf(complete).outputPrefix);
    const outputs = join(this.folder, 'blob', bucket, key);
    const mark = `${name}.${generation}`;
    const script = `echo started >> "$2/$3.starts"; mkdir -p "$1"; ${scripts[behaviour]}`;
    const args =
      behaviour === 'be-unstartable' ? ['no-such-thing'] : ['sh', '-c', script, 'task', outputs, this.files, mark];
    return launchOf({ ...complete, args });
  }

  async finish(attempt: TaskAttempt): Promise<void> {
    writeFileSync(join(this.files, `${markOf(attempt)}.finish`), '');
  }

  async started(attempt: TaskAttempt): Promise<void> {
    while ((await this.starts(attempt)) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async starts(attempt: TaskAttempt): Promise<number> {
    const marks = join(this.files, `${markOf(attempt)}.starts`);
    return existsSync(marks) ? readFileSync(marks, 'utf8').trim().split('\n').length : 0;
  }

  async alive(attempt: TaskAttempt): Promise<boolean> {
    const response = await fetch(`${this.server.address}/jobs?name=${markOf(attempt)}`);
    const [job] = (await response.json()) as JobState[];
    return job?.state === 'running';
  }

  async close(): Promise<void> {
    await this.server.stop();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Also the job's name. */
const markOf = ({ name, generation }: TaskAttempt): string => `${name}.${generation}`;

function splitUri(uri: string): { bucket: string; key: string } {
  const [bucket = '', ...key] = uri.slice('s3://'.length).split('/');
  return { bucket, key: key.join('/') };
}
