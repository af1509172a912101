import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { BlobStore } from '@aloft/blob';
import { AloftError, invalidArgument } from '@aloft/errors';

/** Finds a code bundle as a file of this machine, fetched if it lies elsewhere; the digest changes when its content does. */
export async function locateBundle(uri: string, blob: BlobStore, workDir: string) {
  if (!uri.startsWith('s3://'))
    throw invalidArgument(`the code bundle ${uri} is not in blob storage: register with an s3:// location`);
  const local = blob.localPath(uri);
  if (local !== undefined) {
    try {
      const { size, mtimeMs, ino } = await stat(local);
      return { path: local, digest: digestOf(uri, size, mtimeMs, ino) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw missing(uri);
    }
  }
  const info = await blob.head(uri);
  if (!info) throw missing(uri);
  const digest = digestOf(uri, info.size, info.etag);
  const folder = join(workDir, 'downloads', digest);
  const path = join(folder, basename(uri));
  if (!(await exists(path))) {
    await mkdir(folder, { recursive: true });
    const partial = `${path}.${process.pid}.partial`;
    try {
      await pipeline(await blob.stream(uri), createWriteStream(partial));
      await rename(partial, path);
    } finally {
      await rm(partial, { force: true });
    }
  }
  return { path, digest };
}

const missing = (uri: string) =>
  new AloftError('INVALID_ARGUMENT', `the code bundle ${uri} does not exist: register the task again`);

const digestOf = (...parts: unknown[]) => createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 32);

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
