import { AloftError, invalidArgument, notFound, resourceExhausted } from '@aloft/errors';
import type { Readable } from 'node:stream';
import { presign, type Credentials } from '../s3-endpoint/sigv4.js';
import type { BlobInfo, BlobStore, PutOptions, SignedUrl, SignPutOptions } from '../port.js';
import { parseUri, toUri } from '../uri.js';
import { LocalObjects, type StoredObject } from './local-objects.js';

export interface LocalBlobStoreOptions {
  /** Objects are the files `<dir>/<bucket>/<key>`. */
  dir: string;
  /** The first is the platform's own. */
  buckets?: readonly string[];
  /** Where the embedded S3 endpoint over the same folder answers, for signed URLs; a function while it is not known yet. */
  endpoint?: string | (() => string | undefined);
  credentials?: Credentials;
  region?: string;
  /** Whether `put` resolves only once the object would survive a power failure (default true). */
  durable?: boolean;
  now?: () => Date;
}

export const defaultMaxGetBytes = 64 * 1024 * 1024;

export class LocalBlobStore implements BlobStore {
  readonly bucket: string;
  /** The folder itself, for the S3 endpoint. */
  readonly objects: LocalObjects;

  constructor(private readonly options: LocalBlobStoreOptions) {
    const buckets = options.buckets ?? ['aloft'];
    if (buckets[0] === undefined) throw invalidArgument('blob storage needs at least one bucket');
    this.bucket = buckets[0];
    this.objects = new LocalObjects(options.dir, buckets, { durable: options.durable });
  }

  async put(uri: string, data: Uint8Array | Readable, options: PutOptions = {}): Promise<BlobInfo> {
    const { bucket, key } = parseUri(uri);
    return infoOf(await this.objects.write(bucket, key, data, options));
  }

  async get(uri: string, { maxBytes = defaultMaxGetBytes }: { maxBytes?: number } = {}): Promise<Uint8Array> {
    const { size, handle } = await this.open(uri);
    try {
      if (size > maxBytes) throw tooLargeToGet(uri, size, maxBytes);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  }

  async stream(uri: string, range?: { start: number; end?: number }): Promise<Readable> {
    const { size, handle } = await this.open(uri);
    if (range && range.start >= size) {
      await handle.close();
      throw new AloftError('OUT_OF_RANGE', `${uri} has ${size} bytes, none at ${range.start}`);
    }
    return handle.createReadStream(range);
  }

  async head(uri: string): Promise<BlobInfo | undefined> {
    const { bucket, key } = parseUri(uri);
    const object = await this.objects.head(bucket, key);
    return object && infoOf(object);
  }

  async *list(prefixUri: string, { limit = Infinity, startAfter }: { limit?: number; startAfter?: string } = {}) {
    const { bucket, key: prefix } = parseUri(prefixUri);
    let left = limit;
    for await (const entry of this.objects.keys(bucket, {
      prefix,
      startAfter: startAfter && keyIn(startAfter, bucket),
    })) {
      if (entry.kind !== 'key') continue;
      if (left-- <= 0) return;
      const object = await this.objects.head(bucket, entry.key);
      if (object) yield infoOf(object);
    }
  }

  async delete(uri: string): Promise<void> {
    const { bucket, key } = parseUri(uri);
    await this.objects.remove(bucket, key);
  }

  async signPut(uri: string, { expiresInSeconds, contentMd5, metadata = {} }: SignPutOptions): Promise<SignedUrl> {
    const headers: Record<string, string> = {};
    if (contentMd5) headers['content-md5'] = Buffer.from(contentMd5).toString('base64');
    for (const [name, value] of Object.entries(metadata)) headers[`x-amz-meta-${name.toLowerCase()}`] = value;
    return this.sign('PUT', uri, expiresInSeconds, headers);
  }

  async signGet(uri: string, { expiresInSeconds }: { expiresInSeconds: number }): Promise<SignedUrl> {
    return this.sign('GET', uri, expiresInSeconds, {});
  }

  localPath(uri: string): string {
    const { bucket, key } = parseUri(uri);
    return this.objects.path(bucket, key);
  }

  private async open(uri: string) {
    const { bucket, key } = parseUri(uri);
    const opened = await this.objects.open(bucket, key);
    if (!opened) throw notFound(`there is no object ${uri}`);
    return opened;
  }

  private sign(
    method: 'GET' | 'PUT',
    uri: string,
    expiresInSeconds: number,
    headers: Record<string, string>,
  ): SignedUrl {
    const { bucket, key } = parseUri(uri);
    this.objects.path(bucket, key);
    const { endpoint, credentials, region = 'us-east-1', now = () => new Date() } = this.options;
    const base = typeof endpoint === 'function' ? endpoint() : endpoint;
    if (base === undefined || credentials === undefined)
      throw new AloftError(
        'FAILED_PRECONDITION',
        'signed URLs need the S3 endpoint: it is not running or has no credentials',
      );
    const at = now();
    const url = presign({
      method,
      endpoint: base,
      path: `/${bucket}/${key}`,
      region,
      credentials,
      now: at,
      expiresInSeconds,
      headers,
    });
    return { url, headers, expiresAt: new Date(at.getTime() + expiresInSeconds * 1000) };
  }
}

export function createLocalBlobStore(options: LocalBlobStoreOptions): LocalBlobStore {
  return new LocalBlobStore(options);
}

export function infoOf({ bucket, key, size, etag, lastModified, metadata }: StoredObject): BlobInfo {
  return { uri: toUri({ bucket, key }), size, etag, lastModified, metadata };
}

export function tooLargeToGet(uri: string, size: number, maxBytes: number): AloftError {
  return resourceExhausted(`${uri} has ${size} bytes; at most ${maxBytes} are read into memory here: stream it`);
}

/** The key of a URI that must be in `bucket`. */
export function keyIn(uri: string, bucket: string): string {
  const location = parseUri(uri);
  if (location.bucket !== bucket) throw invalidArgument(`${uri} is not in the bucket "${bucket}" that is listed`);
  return location.key;
}
