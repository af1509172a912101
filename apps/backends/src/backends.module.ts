import { type DynamicModule, Module } from '@nestjs/common';
import { Backends, type BackendsDependencies } from './backends.js';

/**
 * The backend hosts as a Nest module. It starts nothing by itself: whoever composes the process calls `start()` and `stop()`
 * of {@link Backends} in its own order.
 */
@Module({})
export class BackendsModule {
  static register(dependencies: BackendsDependencies): DynamicModule {
    return {
      module: BackendsModule,
      providers: [{ provide: Backends, useValue: new Backends(dependencies) }],
      exports: [Backends],
    };
  }
}
