import type { Dirent } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AloftError } from '@aloft/errors';
import { compareKeys, pathOfKey, segmentOfName } from './keys.js';
import { errno } from './durable-files.js';

export interface ListKeysOptions {
  prefix?: string;
  /** Only what comes after this key. */
  startAfter?: string;
  /** Give folders below the prefix as common prefixes instead of their contents. */
  folders?: boolean;
}

export type ListedEntry = { kind: 'key'; key: string } | { kind: 'prefix'; prefix: string };

/**
 * Walks a bucket's folder in the order of keys, reading only folders that can hold what was asked for. Symbolic links and
 * special files are no objects; a folder without objects is nothing.
 */
export async function* listKeys(folder: string, options: ListKeysOptions): AsyncGenerator<ListedEntry> {
  const { prefix = '', startAfter = '', folders = false } = options;
  const base = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const start = await startFolder(folder, base);
  if (start === undefined) return;
  yield* walk(start, base, { prefix, startAfter, folders });
}

/** The folder of a prefix, if any key can lie in it: reached through folders only, never through a symbolic link. */
async function startFolder(folder: string, base: string): Promise<string | undefined> {
  try {
    const start = dirname(join(folder, pathOfKey(`${base}x`)));
    return (await realpath(start)) === start ? start : undefined;
  } catch (error) {
    if (error instanceof AloftError || ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errno(error) ?? '')) return undefined;
    throw error;
  }
}

async function* walk(folder: string, base: string, options: Required<ListKeysOptions>): AsyncGenerator<ListedEntry> {
  for (const { entry, key } of await entriesOf(folder, base)) {
    if (!key.startsWith(options.prefix) && !options.prefix.startsWith(key)) continue;
    if (!entry.isDirectory()) {
      if (key.startsWith(options.prefix) && compareKeys(key, options.startAfter) > 0) yield { kind: 'key', key };
      continue;
    }
    const path = join(folder, entry.name);
    // Everything below is before the start.
    if (compareKeys(key, options.startAfter) < 0 && !options.startAfter.startsWith(key)) continue;
    if (options.folders && key.startsWith(options.prefix) && key !== options.prefix) {
      // The start is this prefix itself: the caller had it already.
      if (key !== options.startAfter && (await holdsObject(path, key, options.startAfter)))
        yield { kind: 'prefix', prefix: key };
    } else yield* walk(path, key, options);
  }
}

/** Files by their key, folders by their key with a slash, in the order in which their keys come. */
async function entriesOf(folder: string, base: string): Promise<{ entry: Dirent; key: string }[]> {
  let entries: Dirent[];
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errno(error) ?? '')) return [];
    throw error;
  }
  return entries
    .filter((entry) => entry.isFile() || entry.isDirectory())
    .map((entry) => ({ entry, key: base + segmentOfName(entry.name) + (entry.isDirectory() ? '/' : '') }))
    .sort((a, b) => compareKeys(a.key, b.key));
}

async function holdsObject(folder: string, key: string, startAfter: string): Promise<boolean> {
  for await (const _ of walk(folder, key, { prefix: '', startAfter, folders: false })) return true;
  return false;
}
