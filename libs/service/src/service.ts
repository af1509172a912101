import type { HealthRegistry, Logger, Metrics } from '@aloft/telemetry';
import type { ServiceConfig } from './config.js';
import type { Shutdown } from './shutdown.js';

/** A service process, as its `compose` finds it. */
export interface Service<C extends ServiceConfig = ServiceConfig> {
  readonly name: string;
  /** Which of the service's processes: `<host>/<pid>`. */
  readonly replica: string;
  readonly config: C;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly health: HealthRegistry;
  readonly shutdown: Shutdown;
}
