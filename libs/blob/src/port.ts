import type { Readable } from 'node:stream';

/**
 * Blob storage. Every object has one URI, `s3://<bucket>/<key>`, on every driver: the `local` driver keeps it as the file
 * `<dir>/<bucket>/<key>` and the embedded S3 endpoint serves that folder, the `s3` driver talks to any S3-compatible endpoint.
 * Missing objects: NOT_FOUND. URIs outside the configured buckets: INVALID_ARGUMENT. Full disk: RESOURCE_EXHAUSTED, nothing
 * half-written is ever visible.
 */
export interface BlobStore {
  /** The bucket that the platform's own data lives in. */
  readonly bucket: string;
  put(uri: string, data: Uint8Array | Readable, options?: PutOptions): Promise<BlobInfo>;
  /** Whole object in memory; refuses (RESOURCE_EXHAUSTED, naming URI, size and limit) above `maxBytes` (default 64 MiB). */
  get(uri: string, options?: { maxBytes?: number }): Promise<Uint8Array>;
  /** `range`: first and last byte, inclusive. */
  stream(uri: string, range?: { start: number; end?: number }): Promise<Readable>;
  /** `undefined` if there is none. */
  head(uri: string): Promise<BlobInfo | undefined>;
  list(prefixUri: string, options?: { limit?: number; startAfter?: string }): AsyncIterable<BlobInfo>;
  delete(uri: string): Promise<void>;
  signPut(uri: string, options: SignPutOptions): Promise<SignedUrl>;
  signGet(uri: string, options: { expiresInSeconds: number }): Promise<SignedUrl>;
  /** Absolute path of the file behind a URI, for processes of this machine; `undefined` unless the driver is `local`. */
  localPath(uri: string): string | undefined;
}

export interface PutOptions {
  contentType?: string;
  /** Refuse (ALREADY_EXISTS) if there is one. */
  ifAbsent?: boolean;
  metadata?: Record<string, string>;
}

export interface SignPutOptions {
  expiresInSeconds: number;
  /** Raw 16 bytes: the signature then demands this Content-MD5. */
  contentMd5?: Uint8Array;
  metadata?: Record<string, string>;
}

export interface SignedUrl {
  url: string;
  /** Headers that the request must carry. */
  headers: Record<string, string>;
  expiresAt: Date;
}

export interface BlobInfo {
  uri: string;
  size: number;
  /** Hex MD5 for simple objects. */
  etag: string;
  lastModified: Date;
  metadata: Record<string, string>;
}

/** What a task's process needs to reach the same objects by itself (FLYTE_AWS_* of flytekit). */
export interface BlobAccess {
  endpoint?: string;
  accessKeyId?: string;
  secretAccessKey?: string;
  region?: string;
}
