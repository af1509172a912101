import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errno } from '../local/durable-files.js';
import type { LocalObjects, StoredObject } from '../local/local-objects.js';
import { S3Error } from './s3-error.js';

export interface Upload {
  id: string;
  bucket: string;
  key: string;
  contentType?: string;
  metadata: Record<string, string>;
  initiated: string;
}

export interface Part {
  number: number;
  /** Hex MD5. */
  etag: string;
  size: number;
  lastModified: Date;
}

const minPartBytes = 5 * 1024 * 1024;
const uploadFile = 'upload.json';

/** Uploads in parts: a folder each with the parts as files `<number>.<md5>`, until they are joined into an object. */
export class MultipartUploads {
  constructor(private readonly objects: LocalObjects) {}

  async create(details: Omit<Upload, 'id' | 'initiated'>, now: Date): Promise<Upload> {
    this.objects.path(details.bucket, details.key);
    const upload: Upload = { ...details, id: randomBytes(16).toString('hex'), initiated: now.toISOString() };
    const folder = join(this.objects.uploads, upload.id);
    await mkdir(folder);
    const staged = await this.objects.files.stage(Buffer.from(JSON.stringify(upload)));
    await this.objects.files.place(staged, join(folder, uploadFile));
    return upload;
  }

  async get(id: string, bucket: string, key: string): Promise<Upload> {
    const upload = /^[0-9a-f]{32}$/.test(id) ? await this.read(id) : undefined;
    if (!upload || upload.bucket !== bucket || upload.key !== key)
      throw new S3Error(
        'NoSuchUpload',
        404,
        `there is no upload "${id}" of this key: it may have been completed or aborted`,
      );
    return upload;
  }

  async list(bucket: string): Promise<Upload[]> {
    const uploads = await Promise.all((await readdir(this.objects.uploads)).map((id) => this.read(id)));
    return uploads
      .filter((upload): upload is Upload => upload?.bucket === bucket)
      .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.initiated < b.initiated ? -1 : 1));
  }

  /** A part of the same number is replaced. */
  async put(
    upload: Upload,
    number: number,
    source: AsyncIterable<Uint8Array>,
    verify: (md5: Buffer) => void,
  ): Promise<Part> {
    if (!Number.isInteger(number) || number < 1 || number > 10_000)
      throw new S3Error('InvalidArgument', 400, `part number ${number} is not between 1 and 10000`);
    const hash = createHash('md5');
    const hashing = async function* () {
      for await (const chunk of source) {
        hash.update(chunk);
        yield chunk;
      }
    };
    const staged = await this.objects.files.stage(hashing());
    const md5 = hash.digest();
    try {
      verify(md5);
      // The upload may have ended meanwhile.
      await this.get(upload.id, upload.bucket, upload.key);
    } catch (error) {
      await this.objects.files.discard(staged);
      throw error;
    }
    const folder = join(this.objects.uploads, upload.id);
    const earlier = (await this.parts(upload)).filter((part) => part.number === number);
    const etag = md5.toString('hex');
    await this.objects.files.place(staged, join(folder, fileOf({ number, etag })));
    for (const part of earlier) if (part.etag !== etag) await rm(join(folder, fileOf(part)), { force: true });
    return {
      number,
      etag,
      size: staged.identity.size,
      lastModified: new Date(Number(BigInt(staged.identity.mtimeNs) / 1_000_000n)),
    };
  }

  /** In order of number. */
  async parts(upload: Upload): Promise<Part[]> {
    const folder = join(this.objects.uploads, upload.id);
    const names = (await readdir(folder)).filter((name) => name !== uploadFile);
    const parts = await Promise.all(
      names.map(async (name): Promise<Part> => {
        const { size, mtime } = await stat(join(folder, name));
        const [number, etag] = name.split('.') as [string, string];
        return { number: Number(number), etag, size, lastModified: mtime };
      }),
    );
    return parts.sort((a, b) => a.number - b.number);
  }

  async complete(
    upload: Upload,
    chosen: readonly { number: number; etag: string }[],
    ifAbsent: boolean,
  ): Promise<StoredObject> {
    const parts = await this.chosenParts(upload, chosen);
    const folder = join(this.objects.uploads, upload.id);
    const contents = async function* () {
      for (const part of parts) yield* createReadStream(join(folder, fileOf(part)), { highWaterMark: 1024 * 1024 });
    };
    const tag = createHash('md5')
      .update(Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, 'hex'))))
      .digest('hex');
    const { bucket, key, contentType, metadata } = upload;
    const object = await this.objects.write(bucket, key, contents(), {
      contentType,
      metadata,
      ifAbsent,
      etag: () => `${tag}-${parts.length}`,
    });
    await this.abort(upload);
    return object;
  }

  async abort(upload: Upload): Promise<void> {
    await rm(join(this.objects.uploads, upload.id), { recursive: true, force: true });
  }

  private async chosenParts(upload: Upload, chosen: readonly { number: number; etag: string }[]): Promise<Part[]> {
    if (chosen.length === 0) throw new S3Error('MalformedXML', 400, 'an upload is completed with at least one part');
    if (chosen.some(({ number }, i) => i > 0 && number <= chosen[i - 1]!.number))
      throw new S3Error('InvalidPartOrder', 400, 'the parts must be listed in ascending order of their numbers');
    const there = new Map((await this.parts(upload)).map((part) => [part.number, part]));
    return chosen.map(({ number, etag }, i) => {
      const part = there.get(number);
      if (!part || part.etag !== etag)
        throw new S3Error('InvalidPart', 400, `part ${number} with ETag ${etag} was not uploaded`);
      if (part.size < minPartBytes && i < chosen.length - 1)
        throw new S3Error(
          'EntityTooSmall',
          400,
          `part ${number} has ${part.size} bytes; all but the last need ${minPartBytes}`,
        );
      return part;
    });
  }

  private async read(id: string): Promise<Upload | undefined> {
    try {
      return JSON.parse(await readFile(join(this.objects.uploads, id, uploadFile), 'utf8')) as Upload;
    } catch (error) {
      if (errno(error) === 'ENOENT' || errno(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  }
}

function fileOf({ number, etag }: { number: number; etag: string }): string {
  return `${number}.${etag}`;
}
