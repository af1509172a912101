import { rm } from 'node:fs/promises';
import type { BackendPlugin } from '@aloft/backend-kit';
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
export class BatchWorld extends MarkedWorld implements ConformanceWorld {
  constructor(
    private readonly endpoint: string,
    private readonly options: Partial<AwsBatchOptions> = {},
    private readonly onClose: () => Promise<void> = async () => undefined,
  ) {
    super('batch');
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

  launch(behaviour: Behaviour, wanted: WantedLaunch) {
    const marked = this.optionsOf(behaviour, wanted);
    const options = { ...marked, env: { ...marked.env, ALOFT_TEST_BEHAVIOUR: behaviour } };
    const script = behaviour === 'be-unstartable' ? '' : scripts[behaviour];
    const { outputPrefix } = launchOf(options);
    const outputs = this.blob.localPath(outputPrefix) ?? '';
    const launch = launchOf({
      ...options,
      args: ['sh', '-c', `mkdir -p "$1"; ${leaveMark}\n${script}`, 'task', outputs, this.fixtures],
    });
    if (behaviour === 'be-unstartable' && launch.template?.target?.$case === 'container')
      launch.template.target.value.image = 'no-such-thing:1';
    return launch;
  }

  async close(): Promise<void> {
    await this.onClose();
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
