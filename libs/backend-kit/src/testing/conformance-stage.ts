import type { Database } from '@aloft/database';
import { createLogger } from '@aloft/telemetry';
import type { BackendPlugin } from '../contract.js';
import { BackendHost } from '../host/backend-host.js';
import type { BackendHostOptions } from '../host/host-options.js';
import type { Behaviour, ConformanceWorld, Launch } from './conformance-world.js';
import { MemoryBus } from './memory-bus.js';
import { MemoryWorkStore } from './memory-work-store.js';

/** One host after another over the same world, table and bus. */
export class Stage {
  readonly bus = new MemoryBus();
  readonly store = new MemoryWorkStore();
  private host: BackendHost | undefined;
  private plugin: BackendPlugin | undefined;

  constructor(readonly world: ConformanceWorld) {}

  async start(options: Partial<BackendHostOptions> = {}): Promise<BackendHost> {
    this.plugin = this.world.plugin();
    this.host = new BackendHost({
      plugin: this.plugin,
      bus: this.bus,
      database: undefined as unknown as Database,
      store: this.store,
      blob: this.world.blob,
      logger: createLogger('conformance', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' }),
      name: 'host-1',
      relaunchMs: { first: 10, longest: 50 },
      reports: { backoffMs: { first: 5, longest: 20 }, timeoutMs: 200, coalesceMs: 5 },
      ...options,
    });
    await this.host.start();
    return this.host;
  }

  /** The host's process dies: nothing of it is called in an orderly way. */
  async kill(): Promise<void> {
    this.bus.detach();
    const { host, plugin } = this;
    this.host = this.plugin = undefined;
    host?.vanish();
    if (plugin && this.world.kill) await this.world.kill(plugin);
  }

  async stop(): Promise<void> {
    await this.host?.stop();
    this.host = undefined;
  }

  launch(behaviour: Behaviour, name: string, more: { generation?: number; cpu?: string } = {}): Launch {
    return this.world.launch(behaviour, { name, ...more });
  }
}
