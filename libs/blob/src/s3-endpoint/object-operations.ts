import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { LocalObjects, StoredObject } from '../local/local-objects.js';
import type { Payload } from './authentication.js';
import { ObjectBody } from './body.js';
import { checkConditions, checkWriteConditions, rangeOf } from './conditions.js';
import { invalidArgument, S3Error } from './s3-error.js';
import type { S3Request } from './s3-request.js';
import { xmlDocument } from './xml.js';

export const defaultContentType = 'binary/octet-stream';

/** GET and HEAD. */
export async function readObject(objects: LocalObjects, request: S3Request, response: ServerResponse): Promise<void> {
  const opened = await objects.open(request.bucket, request.key);
  if (!opened) throw noSuchKey(request);
  const { handle } = opened;
  try {
    const object = await opened.describe();
    const headers = objectHeaders(object, request);
    if (checkConditions(request, object) === 'not-modified') {
      response.writeHead(304, headers).end();
      return;
    }
    const ifRange = request.header('if-range');
    const range =
      ifRange === undefined || ifRange.replace(/"/g, '') === object.etag
        ? rangeOf(request.header('range'), object.size)
        : undefined;
    const length = range ? range.end - range.start + 1 : object.size;
    if (range) headers['Content-Range'] = `bytes ${range.start}-${range.end}/${object.size}`;
    response.writeHead(range ? 206 : 200, { ...headers, 'Content-Length': length });
    if (request.method === 'HEAD' || length === 0) response.end();
    else await pipeline(handle.createReadStream({ ...range, autoClose: false, highWaterMark: 256 * 1024 }), response);
  } finally {
    await handle.close();
  }
}

function objectHeaders(object: StoredObject, request: S3Request): Record<string, string | number> {
  const headers: Record<string, string | number> = {
    ETag: `"${object.etag}"`,
    'Last-Modified': object.lastModified.toUTCString(),
    'Accept-Ranges': 'bytes',
    'Content-Type': object.contentType ?? defaultContentType,
  };
  for (const [name, value] of Object.entries(object.metadata)) headers[`x-amz-meta-${name}`] = headerValue(value);
  for (const name of [
    'Content-Type',
    'Content-Disposition',
    'Content-Encoding',
    'Content-Language',
    'Cache-Control',
    'Expires',
  ]) {
    const wanted = request.param(`response-${name.toLowerCase()}`);
    if (wanted) headers[name] = headerValue(wanted);
  }
  return headers;
}

/** One line of Latin-1, as headers are: what is beyond goes as its UTF-8 bytes. */
function headerValue(value: string): string {
  const line = value.replace(/[\r\n\0]/g, ' ');
  return /^[\0-\xff]*$/.test(line) ? line : Buffer.from(line).toString('latin1');
}

export async function putObject(
  objects: LocalObjects,
  request: S3Request,
  payload: Payload,
  response: ServerResponse,
): Promise<void> {
  const { bucket, key } = request;
  const { ifAbsent } = checkWriteConditions(request, await objects.head(bucket, key));
  const body = new ObjectBody(request, payload);
  const object = await objects.write(bucket, key, body.bytes(), {
    contentType: request.header('content-type'),
    metadata: request.metadata(),
    ifAbsent,
    verify: ({ md5 }) => body.verify(md5),
  });
  response.writeHead(200, { ETag: `"${object.etag}"` }).end();
}

export async function copyObject(objects: LocalObjects, request: S3Request): Promise<string> {
  const source = await copySource(objects, request);
  const { ifAbsent } = checkWriteConditions(request, await objects.head(request.bucket, request.key));
  const directive = request.header('x-amz-metadata-directive') ?? 'COPY';
  if (directive !== 'COPY' && directive !== 'REPLACE')
    throw invalidArgument(`x-amz-metadata-directive "${directive}" should be COPY or REPLACE`);
  if (directive === 'COPY' && source.bucket === request.bucket && source.key === request.key)
    throw new S3Error(
      'InvalidRequest',
      400,
      'an object is copied onto itself only with x-amz-metadata-directive: REPLACE',
    );
  const object = await objects.copy(source, request.bucket, request.key, {
    ifAbsent,
    ...(directive === 'REPLACE' ? { contentType: request.header('content-type'), metadata: request.metadata() } : {}),
  });
  return xmlDocument('CopyObjectResult', {
    LastModified: object.lastModified.toISOString(),
    ETag: `"${object.etag}"`,
  });
}

/** The object that `x-amz-copy-source` names, its conditions checked. */
export async function copySource(objects: LocalObjects, request: S3Request): Promise<StoredObject> {
  const header = request.amz('x-amz-copy-source') ?? '';
  let path: string;
  try {
    path = decodeURIComponent(header.replace(/\?versionId=null$/, '')).replace(/^\//, '');
  } catch {
    throw invalidArgument(`x-amz-copy-source "${header}" is not properly percent-encoded`);
  }
  const slash = path.indexOf('/');
  if (slash < 1 || path.includes('?versionId='))
    throw invalidArgument(`x-amz-copy-source "${header}" should be <bucket>/<key>`);
  const bucket = path.slice(0, slash);
  const key = path.slice(slash + 1);
  if (!objects.buckets.includes(bucket)) throw new S3Error('NoSuchBucket', 404, `there is no bucket "${bucket}"`);
  const object = await objects.head(bucket, key);
  if (!object) throw new S3Error('NoSuchKey', 404, `there is no object ${bucket}/${key} to copy`);
  checkConditions(request, object, 'x-amz-copy-source-');
  return object;
}

export function noSuchKey({ bucket, key }: S3Request): S3Error {
  return new S3Error('NoSuchKey', 404, `there is no object "${key}" in the bucket "${bucket}"`);
}
