import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BackendModule, BackendPlugin, BackendSurroundings } from '@aloft/backend-kit';
import { invalidArgument } from '@aloft/errors';
import type { ZodError } from 'zod';
import type { BackendsConfig } from './config.js';

/** Makes a plugin; again, where its host comes back after it lost its lease. */
export type PluginMaker = () => BackendPlugin;

/**
 * Backends that are modules of their own (`backends.plugins`). INVALID_ARGUMENT, with the path in the configuration, for a module that cannot be loaded or has no
 * backend, and from the makers for options that are wrong.
 */
export async function loadBackends(
  plugins: BackendsConfig['plugins'],
  surroundings: Omit<BackendSurroundings, 'name'>,
): Promise<PluginMaker[]> {
  return Promise.all(
    Object.entries(plugins).map(async ([name, { module, options }]) => {
      const path = `backends.plugins.${name}`;
      const loaded = await load(module, path);
      const logger = surroundings.logger.child({ backend: name });
      const dataDir = join(surroundings.dataDir, 'plugins', name);
      return () => make(loaded, options, { ...surroundings, name, logger, dataDir }, path);
    }),
  );
}

async function load(module: string, path: string): Promise<BackendModule> {
  const isFile = module.startsWith('.') || isAbsolute(module);
  const wanted = isFile ? 'its file' : 'its package, which has to be installed where the platform is';
  let exported: { default?: Partial<BackendModule> };
  try {
    exported = (await import(isFile ? pathToFileURL(resolve(module)).href : module)) as typeof exported;
  } catch (error) {
    throw invalidArgument(
      `${path}.module: "${module}" cannot be loaded (${(error as Error).message}); it should be ${wanted}`,
      { cause: error },
    );
  }
  if (typeof exported.default?.create !== 'function')
    throw invalidArgument(`${path}.module: "${module}" has no backend; its default export should be a BackendModule`);
  return exported.default as BackendModule;
}

function make(module: BackendModule, options: unknown, surroundings: BackendSurroundings, path: string): BackendPlugin {
  const { name } = surroundings;
  let plugin: BackendPlugin;
  try {
    plugin = module.create(options, surroundings);
  } catch (error) {
    throw invalidArgument(`${path}.options: ${whatIsWrong(error)}`, { cause: error });
  }
  if (plugin.name !== name)
    throw invalidArgument(`${path}: its module made a backend named "${plugin.name}"; it should be "${name}"`);
  return plugin;
}

/** Options are best checked with zod, of which the module may have a copy of its own: what it finds is told one by one. */
function whatIsWrong(error: unknown): string {
  const { issues } = error as Partial<ZodError>;
  if (!Array.isArray(issues)) return error instanceof Error ? error.message : String(error);
  return issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message)).join('; ');
}
