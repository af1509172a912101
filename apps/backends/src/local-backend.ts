import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { LocalProcessBackend, variableName } from '@aloft/backend-local-process';
import type { BlobAccess } from '@aloft/blob';
import type { Logger } from '@aloft/telemetry';
import type { BackendsConfig } from './config.js';

export interface LocalBackendSurroundings {
  /** The platform's data folder. */
  dataDir: string;
  /** Interpreter for Python tasks (default: ALOFT_PYTHON, the active virtual environment's, `python3`). */
  python?: string;
  storage: () => BlobAccess;
  /** As `http://localhost:8088`. */
  publicUrl: () => string;
  /** The gRPC address for tasks that call the platform, as `localhost:8089`. */
  platformUrl: () => string | undefined;
}

/** The plugin `local` as the configuration and this machine want it. */
export function createLocalBackend(
  config: BackendsConfig['local'],
  surroundings: LocalBackendSurroundings,
  logger: Logger,
  env: NodeJS.ProcessEnv = process.env,
): LocalProcessBackend {
  const cores = availableParallelism();
  const installed = config.nodeExecutor ?? installedExecutor();
  return new LocalProcessBackend(
    {
      workDir: resolve(surroundings.dataDir, 'work'),
      python: surroundings.python ?? defaultPython(env),
      warmAtStart: config.warm.atStart,
      warmNode: config.warm.node,
      nodeExecutor: installed,
      nodeModules: nodeModulesAbove(import.meta.dirname),
      capacity: {
        cpu: config.cpu || cores,
        memoryBytes: config.memoryBytes || Math.floor(availableMemory() * 0.9),
        slots: config.slots || Math.max(16, 8 * cores),
        gpuDevices: config.gpuDevices,
      },
      graceMs: config.graceMs,
      storage: surroundings.storage,
      publicUrl: surroundings.publicUrl,
      platformUrl: surroundings.platformUrl,
      passEnv: config.passEnv,
      secret: ({ group, key }) => env[`ALOFT_SECRET_${variableName(group, key)}`],
    },
    logger,
  );
}

/** ALOFT_PYTHON, else the interpreter of the active virtual environment, else `python3` (design.md §7). */
export function defaultPython(env: NodeJS.ProcessEnv): string {
  if (env['ALOFT_PYTHON']) return env['ALOFT_PYTHON'];
  return env['VIRTUAL_ENV'] ? join(env['VIRTUAL_ENV'], 'bin', 'python') : 'python3';
}

/** A container's limit where there is one. */
function availableMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

/** Resolved by name at run time: the platform runs without the SDK, and then refuses its tasks. */
function installedExecutor(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve('@aloft/sdk/execute');
  } catch {
    return undefined;
  }
}

function nodeModulesAbove(folder: string): string | undefined {
  const here = join(folder, 'node_modules');
  if (existsSync(here)) return here;
  const above = dirname(folder);
  return above === folder ? undefined : nodeModulesAbove(above);
}
