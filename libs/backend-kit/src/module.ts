import type { BlobAccess } from '@aloft/blob';
import type { Logger } from '@aloft/telemetry';
import type { BackendPlugin } from './contract.js';

/** What the platform tells of itself. Addresses are known once its servers listen: ask when work begins, not before `start`. */
export interface PlatformView {
  /** How tasks reach blob storage by themselves. */
  storage(): BlobAccess;
  /** How people reach its HTTP server, as `http://localhost:8088`. */
  publicUrl(): string;
  /** The gRPC address for tasks that call it, as `localhost:8089`. */
  address(): string | undefined;
  /** Interpreter of Python tasks on this machine: a path, or a name on `PATH`. */
  python: string;
}

/** What a backend is made in. */
export interface BackendSurroundings {
  /** Under which it is configured: the plugin's name, and what routing rules call it. */
  name: string;
  logger: Logger;
  /** Of the platform: what secrets are named by. */
  env: NodeJS.ProcessEnv;
  /** A folder of this process alone, there after restarts. It may not exist yet. */
  dataDir: string;
  platform: PlatformView;
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
