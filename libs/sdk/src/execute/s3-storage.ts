import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  GetObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  NotFound,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { TaskSystemError } from '../errors.js';
import type { Storage } from './storage.js';

/**
 * Tries of one request, with pauses that double up to 20 s: about 20 s together. A task that has computed for an hour must not be
 * lost because the storage was away for a moment when it wanted to say what came out.
 */
const maxAttempts = 10;

/** Above this, files go up in parts. */
const multipartFrom = 64 * 1024 * 1024;

/**
 * S3 and what speaks like it. FLYTE_AWS_ENDPOINT, FLYTE_AWS_ACCESS_KEY_ID and FLYTE_AWS_SECRET_ACCESS_KEY name another
 * endpoint than AWS, as for flytekit; without them the AWS SDK's own chain of credentials counts.
 */
export class S3Storage implements Storage {
  private constructor(private readonly client: S3Client) {}

  static from(env: NodeJS.ProcessEnv): S3Storage {
    const endpoint = env['FLYTE_AWS_ENDPOINT'];
    const accessKeyId = env['FLYTE_AWS_ACCESS_KEY_ID'];
    const secretAccessKey = env['FLYTE_AWS_SECRET_ACCESS_KEY'];
    const config: S3ClientConfig = {
      maxAttempts,
      retryMode: 'standard',
      region: env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? 'us-east-1',
      // Other endpoints know neither the newer checksums nor hosts named after buckets.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
      ...(accessKeyId && secretAccessKey ? { credentials: { accessKeyId, secretAccessKey } } : {}),
    };
    return new S3Storage(new S3Client(config));
  }

  async read(uri: string): Promise<Uint8Array | undefined> {
    try {
      const { Body } = await this.client.send(new GetObjectCommand(locationOf(uri)));
      return await Body!.transformToByteArray();
    } catch (error) {
      if (error instanceof NoSuchKey || error instanceof NotFound) return undefined;
      throw failed('read', uri, error);
    }
  }

  async write(uri: string, data: Uint8Array, contentType?: string): Promise<void> {
    try {
      await this.client.send(new PutObjectCommand({ ...locationOf(uri), Body: data, ContentType: contentType }));
    } catch (error) {
      throw failed('written', uri, error);
    }
  }

  async downloadFile(uri: string, path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    try {
      const { Body } = await this.client.send(new GetObjectCommand(locationOf(uri)));
      await pipeline(Body as Readable, createWriteStream(path));
    } catch (error) {
      throw failed('read', uri, error);
    }
  }

  async uploadFile(path: string, uri: string): Promise<void> {
    const { size } = await stat(path);
    try {
      if (size < multipartFrom) {
        await this.client.send(
          new PutObjectCommand({ ...locationOf(uri), Body: createReadStream(path), ContentLength: size }),
        );
        return;
      }
      const { Upload } = await import('@aws-sdk/lib-storage');
      await new Upload({
        client: this.client,
        params: { ...locationOf(uri), Body: createReadStream(path) },
        partSize: Math.max(8 * 1024 * 1024, Math.ceil(size / 9_000)),
      }).done();
    } catch (error) {
      throw failed('written', uri, error);
    }
  }

  async list(prefix: string): Promise<string[]> {
    const { Bucket, Key } = locationOf(prefix);
    const found: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.client
        .send(new ListObjectsV2Command({ Bucket, Prefix: `${Key.replace(/\/+$/, '')}/`, ContinuationToken: token }))
        .catch((error: unknown) => {
          throw failed('listed', prefix, error);
        });
      found.push(...(page.Contents ?? []).map(({ Key: key }) => `s3://${Bucket}/${key}`));
      token = page.NextContinuationToken;
    } while (token);
    return found;
  }
}

function locationOf(uri: string): { Bucket: string; Key: string } {
  const match = /^s3:\/\/([^/]+)\/(.+)$/.exec(uri);
  if (!match) throw new TaskSystemError(`${uri} must be of the form s3://<bucket>/<key>.`);
  return { Bucket: match[1]!, Key: match[2]! };
}

function failed(what: string, uri: string, cause: unknown): TaskSystemError {
  const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return new TaskSystemError(`${uri} could not be ${what}: ${reason}`, { cause });
}
