import { Module, type DynamicModule } from '@nestjs/common';
import { Notifier, type NotifierDependencies } from './notifier.js';

/** Provides {@link Notifier}; whoever composes the process starts and stops it. */
@Module({})
export class NotifierModule {
  static register(dependencies: NotifierDependencies): DynamicModule {
    return {
      module: NotifierModule,
      providers: [{ provide: Notifier, useValue: new Notifier(dependencies) }],
      exports: [Notifier],
    };
  }
}
