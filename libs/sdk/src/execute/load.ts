import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir, userInfo } from 'node:os';
import { basename, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleEntry, bundleExport, type BundleEntry } from '../bundle.js';
import { TaskSystemError } from '../errors.js';
import type { Storage } from './storage.js';

/**
 * Brings a bundle here and unpacks it, once for each URI: bundles are content-addressed, so a folder that exists is right.
 * ALOFT_BUNDLE_DIR moves the cache; several processes may share it.
 */
export async function unpackBundle(uri: string, storage: Storage, env: NodeJS.ProcessEnv): Promise<string> {
  const cache = env['ALOFT_BUNDLE_DIR'] ?? join(tmpdir(), `aloft-bundles-${userInfo().uid}`);
  await mkdir(cache, { recursive: true, mode: 0o700 });
  if ((await stat(cache)).uid !== userInfo().uid)
    throw new TaskSystemError(`${cache} belongs to another user; set ALOFT_BUNDLE_DIR to a folder of your own.`);
  const folder = join(cache, createHash('sha256').update(uri).digest('hex').slice(0, 32));
  if (existsSync(folder)) return folder;
  const staging = `${folder}.${randomUUID()}`;
  const archive = `${staging}.tar.gz`;
  try {
    await storage.downloadFile(uri, archive);
    await mkdir(staging, { recursive: true });
    const { extract } = await import('tar');
    await extract({ file: archive, cwd: staging, strict: true });
    // Another process may have been faster; its folder has the same content.
    await rename(staging, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return folder;
  } catch (thrown) {
    if (thrown instanceof TaskSystemError) throw thrown;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new TaskSystemError(`The bundle ${uri} could not be unpacked: ${reason}`, { cause: thrown });
  } finally {
    await rm(archive, { force: true });
    await rm(staging, { recursive: true, force: true });
  }
}

/** Loads a module of tasks: a file of the bundle, a file on this machine, or an installed package. */
export async function loadModule(module: string, folder: string | undefined): Promise<BundleEntry> {
  const url = locate(module, folder);
  const exports = (await import(url)) as Record<string, unknown>;
  const entry = exports[bundleExport] as BundleEntry | undefined;
  if (!entry) return bundleEntry(exports, stemOf(module));
  if (entry.contract !== 1)
    throw new TaskSystemError(
      `${module} was bundled by SDK ${entry.sdkVersion} for a newer aloft-execute (contract ${String(entry.contract)}); update this one.`,
    );
  return entry;
}

/** First part of the names of a module's entities. */
export const stemOf = (module: string): string => basename(module, extname(module));

function locate(module: string, folder: string | undefined): string {
  const path = resolve(folder ?? '.', module);
  if (existsSync(path)) return pathToFileURL(path).href;
  if (folder !== undefined) throw new TaskSystemError(`The bundle has no file ${module}.`);
  try {
    return pathToFileURL(createRequire(resolve('noop.js')).resolve(module)).href;
  } catch {
    // Packages with an "import" condition only resolve as ES modules.
    return module;
  }
}
