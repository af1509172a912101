import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  type HeadObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { AloftError, invalidArgument, notFound, type ErrorCode } from '@aloft/errors';
import { defaultMaxGetBytes, keyIn, tooLargeToGet } from '../local/local-blob-store.js';
import type { BlobInfo, BlobStore, PutOptions, SignedUrl, SignPutOptions } from '../port.js';
import type { Credentials } from '../s3-endpoint/sigv4.js';
import { parseUri, toUri } from '../uri.js';

export interface S3BlobStoreOptions {
  /** The first is the platform's own; URIs of others are refused. */
  buckets: readonly string[];
  /** Of another than AWS's; path-style then. */
  endpoint?: string;
  region?: string;
  /** Default: the SDK's own chain (environment, IRSA, instance role). */
  credentials?: Credentials;
  /** Where clients reach the same storage, if they must use another address: signed URLs name it. */
  publicEndpoint?: string;
  /** Keys asked for at once in lists (default 1000, S3's most). */
  pageSize?: number;
}

/** Any S3-compatible endpoint. */
export class S3BlobStore implements BlobStore {
  readonly bucket: string;
  private readonly client: S3Client;
  private readonly signer: S3Client;

  constructor(private readonly options: S3BlobStoreOptions) {
    if (options.buckets[0] === undefined) throw invalidArgument('blob storage needs at least one bucket');
    this.bucket = options.buckets[0];
    const client = (endpoint: string | undefined) =>
      new S3Client({
        region: options.region ?? 'us-east-1',
        endpoint,
        forcePathStyle: endpoint !== undefined,
        credentials: options.credentials,
        // Signed URLs would otherwise demand a checksum of a body that nobody knows yet.
        requestChecksumCalculation: 'WHEN_REQUIRED',
        responseChecksumValidation: 'WHEN_REQUIRED',
      });
    this.client = client(options.endpoint);
    this.signer = options.publicEndpoint ? client(options.publicEndpoint) : this.client;
  }

  async put(uri: string, data: Uint8Array | Readable, options: PutOptions = {}): Promise<BlobInfo> {
    const { Bucket, Key } = this.at(uri);
    const params = {
      Bucket,
      Key,
      Body: data,
      ContentType: options.contentType,
      Metadata: options.metadata,
      IfNoneMatch: options.ifAbsent ? '*' : undefined,
    };
    if (!(data instanceof Readable)) {
      const { ETag = '' } = await guard(uri, () => this.client.send(new PutObjectCommand(params)));
      // S3's answer has no time: this clock's spares a round trip.
      return {
        uri,
        size: data.byteLength,
        etag: ETag.replace(/"/g, ''),
        lastModified: new Date(),
        metadata: options.metadata ?? {},
      };
    }
    await guard(uri, () => new Upload({ client: this.client, params }).done());
    const info = await this.head(uri);
    if (!info) throw notFound(`${uri} was deleted right after it was written`);
    return info;
  }

  async get(uri: string, { maxBytes = defaultMaxGetBytes }: { maxBytes?: number } = {}): Promise<Uint8Array> {
    const { Body, ContentLength = 0 } = await guard(uri, () => this.client.send(new GetObjectCommand(this.at(uri))));
    if (ContentLength > maxBytes) {
      (Body as Readable).destroy();
      throw tooLargeToGet(uri, ContentLength, maxBytes);
    }
    return guard(uri, () => Body!.transformToByteArray());
  }

  async stream(uri: string, range?: { start: number; end?: number }): Promise<Readable> {
    const Range = range && `bytes=${range.start}-${range.end ?? ''}`;
    const { Body } = await guard(uri, () => this.client.send(new GetObjectCommand({ ...this.at(uri), Range })));
    return Body as Readable;
  }

  async head(uri: string): Promise<BlobInfo | undefined> {
    try {
      const head = await guard(uri, () => this.client.send(new HeadObjectCommand(this.at(uri))));
      return { uri, ...infoOf(head) };
    } catch (error) {
      if (error instanceof AloftError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  async *list(prefixUri: string, { limit = Infinity, startAfter }: { limit?: number; startAfter?: string } = {}) {
    const { Bucket, Key: Prefix } = this.at(prefixUri);
    const StartAfter = startAfter && keyIn(startAfter, Bucket);
    let left = limit;
    for (let ContinuationToken: string | undefined; left > 0;) {
      const page = await guard(prefixUri, () =>
        this.client.send(
          new ListObjectsV2Command({
            Bucket,
            Prefix,
            StartAfter,
            ContinuationToken,
            MaxKeys: Math.min(left, this.options.pageSize ?? 1000),
          }),
        ),
      );
      for (const { Key, Size = 0, ETag = '', LastModified = new Date(0) } of page.Contents ?? []) {
        yield {
          uri: toUri({ bucket: Bucket, key: Key! }),
          size: Size,
          etag: ETag.replace(/"/g, ''),
          lastModified: LastModified,
          // S3 tells metadata only of single objects.
          metadata: {},
        };
        left--;
      }
      ContinuationToken = page.NextContinuationToken;
      if (!ContinuationToken) return;
    }
  }

  async delete(uri: string): Promise<void> {
    await guard(uri, () => this.client.send(new DeleteObjectCommand(this.at(uri))));
  }

  async signPut(uri: string, { expiresInSeconds, contentMd5, metadata = {} }: SignPutOptions): Promise<SignedUrl> {
    const headers: Record<string, string> = {};
    const ContentMD5 = contentMd5 && Buffer.from(contentMd5).toString('base64');
    if (ContentMD5) headers['content-md5'] = ContentMD5;
    for (const [name, value] of Object.entries(metadata)) headers[`x-amz-meta-${name.toLowerCase()}`] = value;
    const url = await getSignedUrl(
      this.signer,
      new PutObjectCommand({ ...this.at(uri), ContentMD5, Metadata: metadata }),
      {
        expiresIn: expiresInSeconds,
        // Signed as headers, not moved into the URL: the request must carry them.
        unhoistableHeaders: new Set(Object.keys(headers)),
      },
    );
    return { url, headers, expiresAt: new Date(Date.now() + expiresInSeconds * 1000) };
  }

  async signGet(uri: string, { expiresInSeconds }: { expiresInSeconds: number }): Promise<SignedUrl> {
    const url = await getSignedUrl(this.signer, new GetObjectCommand(this.at(uri)), { expiresIn: expiresInSeconds });
    return { url, headers: {}, expiresAt: new Date(Date.now() + expiresInSeconds * 1000) };
  }

  localPath(): undefined {
    return undefined;
  }

  close(): void {
    this.client.destroy();
    this.signer.destroy();
  }

  private at(uri: string): { Bucket: string; Key: string } {
    const { bucket, key } = parseUri(uri);
    if (!this.options.buckets.includes(bucket))
      throw invalidArgument(
        `${uri}: bucket "${bucket}" is not one of this storage (${this.options.buckets.join(', ')})`,
      );
    return { Bucket: bucket, Key: key };
  }
}

function infoOf(head: HeadObjectCommandOutput): Omit<BlobInfo, 'uri'> {
  return {
    size: head.ContentLength ?? 0,
    etag: (head.ETag ?? '').replace(/"/g, ''),
    lastModified: head.LastModified ?? new Date(0),
    metadata: head.Metadata ?? {},
  };
}

const codes: Record<string, ErrorCode> = {
  NoSuchKey: 'NOT_FOUND',
  NotFound: 'NOT_FOUND',
  NoSuchBucket: 'FAILED_PRECONDITION',
  PreconditionFailed: 'ALREADY_EXISTS',
  // Two conditional writes at the same time; the other one won.
  ConditionalRequestConflict: 'ALREADY_EXISTS',
  InvalidRange: 'OUT_OF_RANGE',
  AccessDenied: 'PERMISSION_DENIED',
  InvalidAccessKeyId: 'UNAUTHENTICATED',
  SignatureDoesNotMatch: 'UNAUTHENTICATED',
  ExpiredToken: 'UNAUTHENTICATED',
  SlowDown: 'UNAVAILABLE',
  InvalidObjectState: 'FAILED_PRECONDITION',
  InvalidArgument: 'INVALID_ARGUMENT',
};

async function guard<T>(uri: string, send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    if (!(error instanceof S3ServiceException)) {
      const code = (error as { code?: unknown } | null)?.code;
      const unreachable = typeof code === 'string' && /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EHOSTUNREACH|EPIPE)/.test(code);
      if (!unreachable) throw error;
      throw new AloftError('UNAVAILABLE', `${uri}: the storage cannot be reached (${code})`, { cause: error });
    }
    const status = error.$metadata.httpStatusCode ?? 500;
    const code =
      codes[error.name] ??
      (status === 507
        ? 'RESOURCE_EXHAUSTED'
        : status === 404
          ? 'NOT_FOUND'
          : status >= 500
            ? 'UNAVAILABLE'
            : 'INTERNAL');
    const message = code === 'NOT_FOUND' ? `there is no object ${uri}` : `${uri}: ${error.name}: ${error.message}`;
    throw new AloftError(code, message, { cause: error });
  }
}

export function createS3BlobStore(options: S3BlobStoreOptions): S3BlobStore {
  return new S3BlobStore(options);
}
