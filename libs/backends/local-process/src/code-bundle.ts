import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { BlobInfo, BlobStore } from '@aloft/blob';
import { AloftError, invalidArgument, unavailable } from '@aloft/errors';

/** Code bundles as files of this machine, fetched where they lie elsewhere; each at most once at a time, whoever asks. */
export class CodeBundles {
  private readonly fetching = new Map<string, Promise<void>>();

  constructor(private readonly workDir: string) {}

  /**
   * The digest changes when the bundle's content does. INVALID_ARGUMENT if there is no such bundle, UNAVAILABLE if what came is not
   * all of it.
   */
  async locate(uri: string, blob: BlobStore): Promise<{ path: string; digest: string }> {
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
    const path = join(this.workDir, 'downloads', digest, basename(uri));
    if (!(await exists(path))) await this.fetchOnce(path, info, blob);
    return { path, digest };
  }

  private fetchOnce(path: string, info: BlobInfo, blob: BlobStore): Promise<void> {
    const known = this.fetching.get(path);
    if (known) return known;
    const fetching = fetch(path, info, blob).finally(() => this.fetching.delete(path));
    this.fetching.set(path, fetching);
    return fetching;
  }
}

/** Nobody sees the file before it is whole, whatever else runs here, or ran here and was killed. */
async function fetch(path: string, { uri, size }: BlobInfo, blob: BlobStore): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const folder = await mkdtemp(join(dirname(path), 'partial-'));
  try {
    const partial = join(folder, basename(path));
    await pipeline(await blob.stream(uri), createWriteStream(partial));
    const fetched = (await stat(partial)).size;
    if (fetched !== size) throw unavailable(`of the code bundle ${uri}, ${fetched} of ${size} bytes came`);
    await rename(partial, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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
