import type { ServerResponse } from 'node:http';
import type { LocalObjects } from '../local/local-objects.js';
import type { Payload } from './authentication.js';
import { ObjectBody } from './body.js';
import { malformed, readDocument } from './bucket-operations.js';
import { checkWriteConditions, rangeOf } from './conditions.js';
import type { MultipartUploads } from './multipart.js';
import { copySource } from './object-operations.js';
import { invalidArgument } from './s3-error.js';
import type { S3Request } from './s3-request.js';
import { xmlDocument } from './xml.js';

export async function createUpload(uploads: MultipartUploads, request: S3Request, now: Date): Promise<string> {
  const { bucket, key } = request;
  const details = { bucket, key, contentType: request.header('content-type'), metadata: request.metadata() };
  const { id } = await uploads.create(details, now);
  return xmlDocument('InitiateMultipartUploadResult', { Bucket: bucket, Key: key, UploadId: id });
}

export async function uploadPart(
  uploads: MultipartUploads,
  request: S3Request,
  payload: Payload,
  response: ServerResponse,
): Promise<void> {
  const upload = await uploadOf(uploads, request);
  const body = new ObjectBody(request, payload);
  const part = await uploads.put(upload, Number(request.param('partNumber')), body.bytes(), (md5) => body.verify(md5));
  response.writeHead(200, { ETag: `"${part.etag}"` }).end();
}

export async function uploadPartCopy(
  objects: LocalObjects,
  uploads: MultipartUploads,
  request: S3Request,
): Promise<string> {
  const upload = await uploadOf(uploads, request);
  const source = await copySource(objects, request);
  const header = request.header('x-amz-copy-source-range');
  const range = rangeOf(header, source.size);
  if (header !== undefined && !range)
    throw invalidArgument(`x-amz-copy-source-range "${header}" should be bytes=<first>-<last>`);
  const opened = await objects.open(source.bucket, source.key);
  const same = opened !== undefined && (await opened.describe()).etag === source.etag;
  if (!opened || !same) {
    await opened?.handle.close();
    throw invalidArgument('the source changed while it was copied');
  }
  const contents = opened.handle.createReadStream(range ?? {});
  const part = await uploads.put(upload, Number(request.param('partNumber')), contents, () => undefined);
  return xmlDocument('CopyPartResult', { LastModified: part.lastModified.toISOString(), ETag: `"${part.etag}"` });
}

export async function completeUpload(
  objects: LocalObjects,
  uploads: MultipartUploads,
  request: S3Request,
  payload: Payload,
): Promise<string> {
  const { bucket, key } = request;
  const upload = await uploadOf(uploads, request);
  const document = await readDocument(request, payload);
  const root = document['CompleteMultipartUpload'] as { Part?: { PartNumber?: unknown; ETag?: unknown }[] } | undefined;
  const chosen = (root?.Part ?? []).map(({ PartNumber: number, ETag: etag }) => {
    if (typeof number !== 'string' || typeof etag !== 'string')
      throw malformed('has a Part without PartNumber or ETag');
    return { number: Number(number), etag: etag.replace(/&quot;|"/g, '') };
  });
  const { ifAbsent } = checkWriteConditions(request, await objects.head(bucket, key));
  const object = await uploads.complete(upload, chosen, ifAbsent);
  return xmlDocument('CompleteMultipartUploadResult', {
    Location: `http://${request.header('host') ?? ''}/${bucket}/${key}`,
    Bucket: bucket,
    Key: key,
    ETag: `"${object.etag}"`,
  });
}

export async function listParts(uploads: MultipartUploads, request: S3Request): Promise<string> {
  const upload = await uploadOf(uploads, request);
  const marker = Number(request.param('part-number-marker') ?? 0);
  const max = Math.min(Number(request.param('max-parts') ?? 1000), 1000);
  const rest = (await uploads.parts(upload)).filter(({ number }) => number > marker);
  const page = rest.slice(0, max);
  return xmlDocument('ListPartsResult', {
    Bucket: upload.bucket,
    Key: upload.key,
    UploadId: upload.id,
    PartNumberMarker: marker,
    NextPartNumberMarker: page[page.length - 1]?.number ?? marker,
    MaxParts: max,
    IsTruncated: rest.length > page.length,
    StorageClass: 'STANDARD',
    Part: page.map(({ number, etag, size, lastModified }) => ({
      PartNumber: number,
      LastModified: lastModified.toISOString(),
      ETag: `"${etag}"`,
      Size: size,
    })),
  });
}

export async function listUploads(uploads: MultipartUploads, request: S3Request): Promise<string> {
  const prefix = request.param('prefix') ?? '';
  const found = (await uploads.list(request.bucket)).filter(({ key }) => key.startsWith(prefix));
  return xmlDocument('ListMultipartUploadsResult', {
    Bucket: request.bucket,
    Prefix: prefix,
    MaxUploads: 1000,
    IsTruncated: false,
    Upload: found.map(({ key, id, initiated }) => ({
      Key: key,
      UploadId: id,
      StorageClass: 'STANDARD',
      Initiated: initiated,
    })),
  });
}

export async function abortUpload(uploads: MultipartUploads, request: S3Request): Promise<void> {
  await uploads.abort(await uploadOf(uploads, request));
}

function uploadOf(uploads: MultipartUploads, request: S3Request) {
  return uploads.get(request.param('uploadId') ?? '', request.bucket, request.key);
}
