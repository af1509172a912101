import { type DynamicModule, Module } from '@nestjs/common';
import { Backends, type BackendsDependencies } from './backends.js';
import { loadBackends } from './external-backends.js';
import { platformView } from './platform-view.js';

/**
 * The backend hosts as a Nest module. It starts nothing by itself: whoever composes the process calls `start()` and `stop()`
 * of {@link Backends} in its own order.
 */
@Module({})
export class BackendsModule {
  static async register(dependencies: Omit<BackendsDependencies, 'plugins'>): Promise<DynamicModule> {
    const { config, logger, dataDir } = dependencies;
    const platform = platformView(dependencies);
    const plugins = await loadBackends(config.plugins, { logger, dataDir, env: process.env, platform });
    return {
      module: BackendsModule,
      providers: [{ provide: Backends, useValue: new Backends({ ...dependencies, plugins }) }],
      exports: [Backends],
    };
  }
}
