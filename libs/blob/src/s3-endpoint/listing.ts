import type { LocalObjects, StoredObject } from '../local/local-objects.js';
import { invalidArgument } from './s3-error.js';
import type { S3Request } from './s3-request.js';
import { encode } from './sigv4.js';
import { xmlDocument, type XmlElements } from './xml.js';

interface Page {
  objects: StoredObject[];
  prefixes: string[];
  /** The last entry, if there is more after it. */
  next: { after: string; isPrefix: boolean } | undefined;
}

const maxPage = 1000;

/** ListObjects and ListObjectsV2. */
export async function listObjects(objects: LocalObjects, request: S3Request): Promise<string> {
  const v2 = request.param('list-type') === '2';
  const prefix = request.param('prefix') ?? '';
  const delimiter = request.param('delimiter') || undefined;
  const maxKeys = parseMaxKeys(request.param('max-keys'));
  const encoding = request.param('encoding-type');
  if (encoding !== undefined && encoding !== 'url')
    throw invalidArgument(`encoding-type "${encoding}" should be "url"`);
  const name = (key: string) => (encoding === 'url' ? key.split('/').map(encode).join('/') : key);
  const token = request.param('continuation-token');
  const after = v2
    ? token === undefined
      ? { after: request.param('start-after') ?? '', isPrefix: false }
      : parseToken(token)
    : {
        after: request.param('marker') ?? '',
        isPrefix: delimiter !== undefined && (request.param('marker') ?? '').endsWith(delimiter),
      };
  const page = await readPage(objects, request.bucket, { prefix, delimiter, maxKeys, ...after });
  const common: XmlElements = {
    Name: request.bucket,
    Prefix: name(prefix),
    MaxKeys: maxKeys,
    Delimiter: delimiter === undefined ? undefined : name(delimiter),
    EncodingType: encoding,
    IsTruncated: page.next !== undefined,
  };
  const version: XmlElements = v2
    ? {
        KeyCount: page.objects.length + page.prefixes.length,
        ContinuationToken: token,
        StartAfter: request.has('start-after') ? name(request.param('start-after')!) : undefined,
        NextContinuationToken: page.next && formatToken(page.next),
      }
    : { Marker: name(request.param('marker') ?? ''), NextMarker: page.next && name(page.next.after) };
  return xmlDocument('ListBucketResult', {
    ...common,
    ...version,
    Contents: page.objects.map((object) => ({
      Key: name(object.key),
      LastModified: object.lastModified.toISOString(),
      ETag: `"${object.etag}"`,
      Size: object.size,
      StorageClass: 'STANDARD',
    })),
    CommonPrefixes: page.prefixes.map((one) => ({ Prefix: name(one) })),
  });
}

async function readPage(
  objects: LocalObjects,
  bucket: string,
  ask: { prefix: string; delimiter: string | undefined; maxKeys: number; after: string; isPrefix: boolean },
): Promise<Page> {
  const found: ({ key: string } | { prefix: string })[] = [];
  let next: Page['next'];
  if (ask.maxKeys > 0)
    for await (const entry of entries(objects, bucket, ask)) {
      if (found.length === ask.maxKeys) {
        const last = found[found.length - 1]!;
        next = 'key' in last ? { after: last.key, isPrefix: false } : { after: last.prefix, isPrefix: true };
        break;
      }
      found.push(entry);
    }
  const keys = found.flatMap((entry) => ('key' in entry ? [entry.key] : []));
  const described: (StoredObject | undefined)[] = [];
  for (let i = 0; i < keys.length; i += 32)
    described.push(...(await Promise.all(keys.slice(i, i + 32).map((key) => objects.head(bucket, key)))));
  return {
    // What was deleted meanwhile is left out.
    objects: described.filter((object): object is StoredObject => object !== undefined),
    prefixes: found.flatMap((entry) => ('prefix' in entry ? [entry.prefix] : [])),
    next,
  };
}

async function* entries(
  objects: LocalObjects,
  bucket: string,
  ask: { prefix: string; delimiter: string | undefined; after: string; isPrefix: boolean },
): AsyncGenerator<{ key: string } | { prefix: string }> {
  const { prefix, delimiter, after, isPrefix } = ask;
  const folders = delimiter === '/';
  let group: string | undefined = isPrefix ? after : undefined;
  for await (const entry of objects.keys(bucket, { prefix, startAfter: after, folders })) {
    if (entry.kind === 'prefix') {
      yield { prefix: entry.prefix };
      continue;
    }
    const { key } = entry;
    if (group !== undefined && key.startsWith(group)) continue;
    const end = delimiter === undefined || folders ? -1 : key.indexOf(delimiter, prefix.length);
    if (end < 0) yield { key };
    else {
      group = key.slice(0, end + delimiter!.length);
      yield { prefix: group };
    }
  }
}

function parseMaxKeys(text: string | undefined): number {
  if (text === undefined || text === '') return maxPage;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw invalidArgument(`max-keys "${text}" should be a number from 0 to 1000`);
  return Math.min(value, maxPage);
}

function formatToken({ after, isPrefix }: { after: string; isPrefix: boolean }): string {
  return Buffer.from(`${isPrefix ? 'p' : 'k'}${after}`).toString('base64url');
}

function parseToken(token: string): { after: string; isPrefix: boolean } {
  const text = Buffer.from(token, 'base64url').toString();
  if (!/^[pk]/.test(text)) throw invalidArgument('the continuation token is not one of this server');
  return { after: text.slice(1), isPrefix: text.startsWith('p') };
}
