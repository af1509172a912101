import { createHash } from 'node:crypto';
import { constants, mkdirSync, readdirSync, realpathSync, statSync, rmSync, type BigIntStats } from 'node:fs';
import { copyFile, lstat, open, readFile, realpath, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AloftError, alreadyExists, failedPrecondition, invalidArgument } from '@aloft/errors';
import { isBucketName, toUri } from '../uri.js';
import { DurableFiles, errno, identityOf, type FileIdentity, type StagedFile } from './durable-files.js';
import { pathOfKey } from './keys.js';
import { listKeys, type ListedEntry, type ListKeysOptions } from './list-keys.js';
import { Sidecars, type SidecarData } from './sidecars.js';

export interface StoredObject {
  bucket: string;
  key: string;
  size: number;
  etag: string;
  lastModified: Date;
  contentType: string | undefined;
  metadata: Record<string, string>;
}

export interface WriteOptions {
  contentType?: string;
  metadata?: Record<string, string>;
  /** ALREADY_EXISTS if there is one. */
  ifAbsent?: boolean;
  /** Instead of the MD5 of the contents (multipart objects). */
  etag?: (md5: string) => string;
  /** Called with what was read before the object becomes visible; throwing leaves everything as it was. */
  verify?: (written: { size: number; md5: Buffer }) => void;
}

/** An object opened for reading: contents and facts are of the same version, whatever is put meanwhile. */
export interface OpenObject {
  /** Bytes. */
  size: number;
  handle: FileHandle;
  /** Its other facts, which have to be looked up. */
  describe(): Promise<StoredObject>;
}

/** Up to this size the MD5 of a file without a sidecar is computed when asked for. */
const hashOnDemandBytes = 1024 * 1024;

/** Objects as plain files `<dir>/<bucket>/<key>`; see docs/architecture/blob-storage.md. */
export class LocalObjects {
  readonly files: DurableFiles;
  /** Folder for other users of the same storage (multipart uploads). */
  readonly uploads: string;
  private readonly root: string;
  private readonly sidecars: Sidecars;
  private readonly etags = new Map<string, string>();

  constructor(
    dir: string,
    readonly buckets: readonly string[],
    options: { durable?: boolean } = {},
  ) {
    for (const bucket of buckets)
      if (!isBucketName(bucket))
        throw invalidArgument(
          `bucket name "${bucket}" should have 3 to 63 of a-z, 0-9, "." and "-" and start and end with a letter or digit`,
        );
    mkdirSync(dir, { recursive: true });
    this.root = realpathSync(dir);
    // Names with a leading dot are no buckets' names.
    const staging = join(this.root, '.tmp');
    this.uploads = join(this.root, '.uploads');
    for (const folder of [staging, this.uploads, ...buckets.map((bucket) => join(this.root, bucket))])
      mkdirSync(folder, { recursive: true });
    removeOld(staging, 24 * 3600_000);
    this.files = new DurableFiles(staging, options.durable ?? true);
    this.sidecars = new Sidecars(join(this.root, '.meta'), this.files);
  }

  /** Absolute path of an object's file, there or not. */
  path(bucket: string, key: string): string {
    if (!this.buckets.includes(bucket))
      throw invalidArgument(`bucket "${bucket}" is not one of this storage (${this.buckets.join(', ')})`);
    return join(this.root, bucket, pathOfKey(key));
  }

  async write(
    bucket: string,
    key: string,
    source: Uint8Array | AsyncIterable<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<StoredObject> {
    const path = this.path(bucket, key);
    const hash = createHash('md5');
    const staged = await this.files.stage(
      source instanceof Uint8Array ? (hash.update(source), source) : hashing(source, (chunk) => hash.update(chunk)),
    );
    return this.finish(bucket, key, path, staged, hash.digest(), options);
  }

  /** COPY: contents, and what `options` leaves out, of another object. */
  async copy(from: StoredObject, bucket: string, key: string, options: WriteOptions = {}): Promise<StoredObject> {
    const path = this.path(bucket, key);
    const source = this.path(from.bucket, from.key);
    const staged = await this.files.stageCopy((target) => copyFile(source, target, constants.COPYFILE_FICLONE));
    if ((await this.head(from.bucket, from.key))?.etag !== from.etag) {
      await this.files.discard(staged);
      throw new AloftError('ABORTED', `${toUri(from)} was replaced while it was copied: copy it again`);
    }
    const etag = options.etag ?? (() => from.etag);
    const settled = { contentType: from.contentType, metadata: from.metadata, ...options, etag };
    return this.finish(bucket, key, path, staged, Buffer.alloc(0), settled);
  }

  /** `undefined` if there is none. The caller closes the handle. */
  async open(bucket: string, key: string): Promise<OpenObject | undefined> {
    const path = this.path(bucket, key);
    let handle: FileHandle | undefined;
    try {
      const opened = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      handle = opened;
      const [stats, inside] = await Promise.all([opened.stat({ bigint: true }), this.isInside(path, bucket)]);
      if (inside && stats.isFile())
        return { size: Number(stats.size), handle, describe: () => this.describe(bucket, key, path, stats) };
    } catch (error) {
      if (!isAbsent(error)) {
        await handle?.close();
        throw error;
      }
    }
    await handle?.close();
    return undefined;
  }

  async head(bucket: string, key: string): Promise<StoredObject | undefined> {
    const path = this.path(bucket, key);
    try {
      const stats = await lstat(path, { bigint: true });
      return stats.isFile() && (await this.isInside(path, bucket))
        ? await this.describe(bucket, key, path, stats)
        : undefined;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  /** Succeeds if there is none. */
  async remove(bucket: string, key: string): Promise<void> {
    const path = this.path(bucket, key);
    try {
      if (!(await this.isInside(path, bucket))) return;
      const stats = await lstat(path, { bigint: true });
      if (stats.isDirectory()) return;
      await unlink(path);
      await this.files.sync(dirname(path));
      await this.sidecars.remove(bucket, key, String(stats.ino));
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }

  /** Keys in S3's order; with a delimiter of `/`, what lies below one is a common prefix. */
  keys(bucket: string, options: ListKeysOptions): AsyncGenerator<ListedEntry> {
    this.path(bucket, 'x');
    return listKeys(join(this.root, bucket), options);
  }

  private async finish(
    bucket: string,
    key: string,
    path: string,
    staged: StagedFile,
    md5: Buffer,
    options: WriteOptions,
  ): Promise<StoredObject> {
    const { identity } = staged;
    const { contentType, metadata = {}, ifAbsent = false } = options;
    let before: BigIntStats | undefined;
    const etag = (options.etag ?? ((hex) => hex))(md5.toString('hex'));
    const lasting = contentType !== undefined || Object.keys(metadata).length > 0 || options.etag !== undefined;
    const sidecar = lasting || identity.size > hashOnDemandBytes;
    try {
      options.verify?.({ size: identity.size, md5 });
      await this.assertInside(path, bucket);
      before = await lstat(path, { bigint: true }).catch(() => undefined);
      if (sidecar) await this.sidecars.write(bucket, key, identity, { etag, contentType, metadata }, lasting);
    } catch (error) {
      await this.files.discard(staged);
      throw error;
    }
    try {
      if (!(await this.files.place(staged, path, ifAbsent)))
        throw alreadyExists(`${toUri({ bucket, key })} exists already`);
    } catch (error) {
      if (sidecar) await this.sidecars.remove(bucket, key, identity.ino);
      throw error;
    }
    if (before?.isFile()) await this.sidecars.remove(bucket, key, String(before.ino));
    return { bucket, key, size: identity.size, etag, lastModified: modified(identity), contentType, metadata };
  }

  private async describe(bucket: string, key: string, path: string, stats: BigIntStats): Promise<StoredObject> {
    const identity = identityOf(stats);
    const sidecar = await this.sidecars.read(bucket, key, identity);
    const { etag, contentType, metadata } = sidecar ?? (await this.derived(path, identity));
    return { bucket, key, size: identity.size, etag, lastModified: modified(identity), contentType, metadata };
  }

  /** Facts of a file that a process wrote by itself. Large ones get a tag that, like a multipart object's, is no MD5. */
  private async derived(path: string, identity: FileIdentity): Promise<SidecarData> {
    const name = `${identity.ino}.${identity.size}.${identity.mtimeNs}`;
    let etag = this.etags.get(name);
    if (etag === undefined) {
      etag =
        identity.size <= hashOnDemandBytes
          ? createHash('md5')
              .update(await readFile(path))
              .digest('hex')
          : `${createHash('md5').update(name).digest('hex')}-1`;
      if (this.etags.size >= 10_000) this.etags.clear();
      this.etags.set(name, etag);
    }
    return { etag, metadata: {} };
  }

  /** Whether the path leads through plain folders only: a symbolic link that a task left must not lead out of the bucket. */
  private async isInside(path: string, bucket: string): Promise<boolean> {
    const top = join(this.root, bucket);
    for (let folder = dirname(path); ; folder = dirname(folder))
      try {
        return (await realpath(folder)) === folder;
      } catch (error) {
        // What does not exist yet leads nowhere: the nearest folder that exists counts.
        if (errno(error) !== 'ENOENT' || folder.length <= top.length) throw error;
      }
  }

  private async assertInside(path: string, bucket: string): Promise<void> {
    if (await this.isInside(path, bucket)) return;
    throw failedPrecondition(
      `${path} lies behind a symbolic link: objects are written below ${join(this.root, bucket)}`,
    );
  }
}

async function* hashing(
  source: AsyncIterable<Uint8Array>,
  update: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    update(bytes);
    yield bytes;
  }
}

function modified({ mtimeNs }: FileIdentity): Date {
  return new Date(Number(BigInt(mtimeNs) / 1_000_000n));
}

/** ENOTDIR: a part of the path is an object. ELOOP: the name is a symbolic link, which is no object. */
function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errno(error) ?? '');
}

/** What a process left behind that died while writing. */
function removeOld(folder: string, ageMs: number): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats && Date.now() - stats.mtimeMs > ageMs) rmSync(path, { force: true, recursive: true });
  }
}
