import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Behaviour,
  type ConformanceWorld,
  launchOf,
  leaveMark,
  MarkedWorld,
  shellScripts,
  type WantedLaunch,
} from '@aloft/backend-kit/testing';
import { createLogger } from '@aloft/telemetry';
import { LocalProcessBackend } from '../local-process-backend.js';
import type { LocalProcessOptions } from '../options.js';

export const testLogger = createLogger('local-process', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' });

export function testOptions(dir: string, more: Partial<LocalProcessOptions> = {}): LocalProcessOptions {
  return {
    workDir: join(dir, 'work'),
    python: 'python3',
    warmAtStart: false,
    warmNode: 1,
    nodeExecutor: undefined,
    nodeModules: undefined,
    capacity: { cpu: 2, memoryBytes: 4 * 2 ** 30, slots: 16, gpuDevices: [] },
    graceMs: 2_000,
    storage: () => ({}),
    publicUrl: () => 'http://localhost:8088',
    platformUrl: () => undefined,
    passEnv: [],
    secret: () => undefined,
    ...more,
  };
}

/** What each behaviour does, in the shell; `$1` is the output prefix, `$2` the folder with prepared files. */
const scripts = {
  ...shellScripts,
  'use-memory': `"${process.execPath}" -e 'const much = Buffer.alloc(4e8, 1); setTimeout(() => much, 60000)'`,
};

/** Shell tasks on the real backend, in a folder of their own. */
export class ShellWorld extends MarkedWorld implements ConformanceWorld {
  private readonly plugins: LocalProcessBackend[] = [];

  constructor(readonly options: Partial<LocalProcessOptions> = {}) {
    super('local');
  }

  plugin(): LocalProcessBackend {
    const plugin = new LocalProcessBackend(testOptions(this.dir, this.options), testLogger);
    this.plugins.push(plugin);
    return plugin;
  }

  /** SIGKILL of the launcher; the platform's side hears nothing of it any more. */
  async kill(plugin: LocalProcessBackend): Promise<void> {
    const { launcher } = plugin as unknown as { launcher: { stopped: boolean } };
    launcher.stopped = true;
    if (plugin.launcherPid !== undefined) process.kill(plugin.launcherPid, 'SIGKILL');
  }

  launch(behaviour: Behaviour, wanted: WantedLaunch) {
    const options = {
      ...this.optionsOf(behaviour, wanted),
      ...(behaviour === 'use-memory' ? { memory: '150Mi' } : {}),
    };
    const { outputPrefix } = launchOf(options);
    const script = behaviour === 'be-unstartable' ? '' : scripts[behaviour];
    return launchOf({
      ...options,
      args:
        behaviour === 'be-unstartable'
          ? ['no-such-thing', '--flag']
          : ['sh', '-c', `${leaveMark}\n${script}`, 'task', outputPrefix, this.fixtures],
    });
  }

  async close(): Promise<void> {
    for (const plugin of this.plugins) await plugin.stop();
    // Whatever a case left behind is ended by a last launcher that knows of nothing.
    const last = new LocalProcessBackend(testOptions(this.dir, this.options), testLogger);
    await last.start();
    await last.adopt(
      [],
      () => {
        throw new Error('nothing is to be adopted');
      },
      { exclusive: true },
    );
    while (readdirSync(join(this.dir, 'work', 'attempts')).length > 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
    await last.stop();
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
