import type { Logger } from '@aloft/telemetry';
import type { BackendPlugin } from './contract.js';

/** What a backend is made in. */
export interface BackendSurroundings {
  /** Under which it is configured: the plugin's name, and what routing rules call it. */
  name: string;
  logger: Logger;
  /** Of the platform: what secrets are named by. */
  env: NodeJS.ProcessEnv;
  /** A folder of this process alone, there after restarts. It may not exist yet. */
  dataDir: string;
}

/**
 * What a module with a backend exports by default. Nothing else of the platform knows it: configuration names the module
 * (`backends.plugins.<name>.module`) and gives its options.
 */
export interface BackendModule {
  /**
   * Makes the plugin, and makes it again where its host lost its lease and came back. It connects to nothing yet: that is `start`'s.
   * `options`: as they are configured, unchecked; throws for what is wrong with them, by its path.
   */
  create(options: unknown, surroundings: BackendSurroundings): BackendPlugin;
}
