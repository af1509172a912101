import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { unavailable } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import type { LocalObjects } from '../local/local-objects.js';
import { authenticate, type CredentialLookup, type Payload } from './authentication.js';
import { deleteObjects } from './bucket-operations.js';
import { listObjects } from './listing.js';
import { MultipartUploads } from './multipart.js';
import { copyObject, putObject, readObject } from './object-operations.js';
import { invalidRequest, notImplemented, S3Error, toS3Error } from './s3-error.js';
import { S3Request } from './s3-request.js';
import type { Credentials } from './sigv4.js';
import {
  abortUpload,
  completeUpload,
  createUpload,
  listParts,
  listUploads,
  uploadPart,
  uploadPartCopy,
} from './upload-operations.js';
import { xmlDocument } from './xml.js';

export interface S3EndpointOptions {
  /** What it serves: `LocalBlobStore.objects`. */
  objects: LocalObjects;
  /** One pair of keys, or where to find them. */
  credentials: Credentials | CredentialLookup;
  region?: string;
  logger?: Logger;
  now?: () => Date;
}

/** Subresources that clients ask for and that have no meaning here. */
const unsupported = [
  'acl',
  'attributes',
  'cors',
  'encryption',
  'legal-hold',
  'lifecycle',
  'logging',
  'notification',
  'object-lock',
  'policy',
  'replication',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'tagging',
  'torrent',
  'versions',
  'website',
];

/** Of a refused body, read at most so much and for so long before the connection is cut. */
const restBytes = 64 * 2 ** 20;
const restMs = 30_000;

/**
 * The part of S3 that clients of a workflow platform use, over a folder: objects (ranges, conditions, copy, multipart), lists,
 * path-style only, every request signed with SigV4 (header or presigned URL). Bodies are streamed; an object is visible only
 * once all that its request declared about it has been verified.
 */
export class S3Endpoint {
  private readonly uploads: MultipartUploads;
  private readonly lookup: CredentialLookup;
  private readonly now: () => Date;
  private server: Server | undefined;
  private address: string | undefined;

  constructor(private readonly options: S3EndpointOptions) {
    const { credentials } = options;
    this.uploads = new MultipartUploads(options.objects);
    this.lookup =
      typeof credentials === 'function'
        ? credentials
        : (accessKeyId) => (accessKeyId === credentials.accessKeyId ? credentials : undefined);
    this.now = options.now ?? (() => new Date());
  }

  /** `http://host:port` once it listens. */
  get url(): string | undefined {
    return this.address;
  }

  /** Resolves with its URL. UNAVAILABLE if the address cannot be had. */
  async listen(port: number, host = '127.0.0.1'): Promise<string> {
    const server = createServer((request, response) => void this.handle(request, response));
    // Uploads may take longer than Node's five minutes; a stalled one is cut by the keep-alive of its client.
    server.requestTimeout = 0;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(unavailable(`cannot listen for S3 on ${host}:${port}: ${error.message}`, { cause: error })),
      );
      server.listen(port, host, resolve);
    });
    this.server = server;
    const bound = (server.address() as AddressInfo).port;
    this.address = `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
    return this.address;
  }

  /** Lets running requests end for `graceMs`, then cuts them. */
  async close(graceMs = 5_000): Promise<void> {
    const { server } = this;
    if (!server) return;
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
    });
    clearTimeout(timer);
    this.server = undefined;
  }

  /** A node:http handler, to be mounted elsewhere. Never rejects. */
  async handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    const requestId = randomBytes(8).toString('hex').toUpperCase();
    response.setHeader('x-amz-request-id', requestId);
    response.setHeader('Server', 'aloft-s3');
    let refused: S3Error | undefined;
    try {
      const request = new S3Request(message);
      const payload = authenticate(request, this.lookup, this.now());
      await this.dispatch(request, payload, response);
    } catch (thrown) {
      refused = toS3Error(thrown);
      if (refused.status === 500 && !message.destroyed)
        this.options.logger?.error({ err: thrown, method: message.method, url: message.url }, 's3 request failed');
      answerError(refused, message, response, requestId);
    }
    this.options.logger?.debug(
      {
        method: message.method,
        path: message.url?.split('?')[0],
        status: response.statusCode,
        code: refused?.code,
        ms: Number((performance.now() - started).toFixed(2)),
      },
      's3',
    );
  }

  private async dispatch(request: S3Request, payload: Payload, response: ServerResponse): Promise<void> {
    const subresource = unsupported.find((name) => request.has(name));
    if (subresource) throw notImplemented(`the subresource "${subresource}" is not implemented`);
    if (request.bucket === '') return this.service(request, response);
    if (!this.options.objects.buckets.includes(request.bucket)) {
      if (request.method === 'PUT' && request.key === '')
        throw new S3Error(
          'AccessDenied',
          403,
          `buckets are made in the configuration, not by requests: ${request.bucket}`,
        );
      throw new S3Error('NoSuchBucket', 404, `there is no bucket "${request.bucket}"`);
    }
    return request.key === '' ? this.bucket(request, payload, response) : this.object(request, payload, response);
  }

  private service(request: S3Request, response: ServerResponse): void {
    if (request.method !== 'GET') throw methodNotAllowed(request);
    const owner = { ID: 'aloft', DisplayName: 'aloft' };
    const buckets = this.options.objects.buckets.map((Name) => ({ Name, CreationDate: '2026-01-01T00:00:00.000Z' }));
    send(response, xmlDocument('ListAllMyBucketsResult', { Owner: owner, Buckets: { Bucket: buckets } }));
  }

  private async bucket(request: S3Request, payload: Payload, response: ServerResponse): Promise<void> {
    const { objects, region = 'us-east-1' } = this.options;
    switch (request.method) {
      case 'HEAD':
        response.writeHead(200, { 'x-amz-bucket-region': region }).end();
        return;
      case 'GET':
        if (request.has('location')) {
          // S3 says nothing for its first region.
          const place = region === 'us-east-1' ? '' : region;
          return send(
            response,
            `<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${place}</LocationConstraint>`,
          );
        }
        if (request.has('versioning')) return send(response, xmlDocument('VersioningConfiguration', {}));
        if (request.has('uploads')) return send(response, await listUploads(this.uploads, request));
        return send(response, await listObjects(objects, request));
      case 'POST':
        if (request.has('delete')) return send(response, await deleteObjects(objects, request, payload));
        throw notImplemented('browser form uploads are not implemented: use PUT or a presigned URL');
      case 'PUT':
        throw new S3Error('BucketAlreadyOwnedByYou', 409, `the bucket "${request.bucket}" exists`);
      case 'DELETE':
        throw new S3Error('AccessDenied', 403, 'buckets are removed in the configuration, not by requests');
      default:
        throw methodNotAllowed(request);
    }
  }

  private async object(request: S3Request, payload: Payload, response: ServerResponse): Promise<void> {
    const { objects } = this.options;
    const inUpload = request.has('uploadId');
    const isCopy = request.amz('x-amz-copy-source') !== undefined;
    switch (request.method) {
      case 'HEAD':
      case 'GET':
        if (inUpload) return send(response, await listParts(this.uploads, request));
        return readObject(objects, request, response);
      case 'PUT':
        if (inUpload && isCopy) return send(response, await uploadPartCopy(objects, this.uploads, request));
        if (inUpload) return uploadPart(this.uploads, request, payload, response);
        if (isCopy) return send(response, await copyObject(objects, request));
        return putObject(objects, request, payload, response);
      case 'POST':
        if (request.has('uploads')) return send(response, await createUpload(this.uploads, request, this.now()));
        if (inUpload) return send(response, await completeUpload(objects, this.uploads, request, payload));
        throw invalidRequest('POST on an object needs ?uploads or ?uploadId');
      case 'DELETE':
        if (inUpload) await abortUpload(this.uploads, request);
        else await objects.remove(request.bucket, request.key);
        response.writeHead(204).end();
        return;
      default:
        throw methodNotAllowed(request);
    }
  }
}

function send(response: ServerResponse, xml: string): void {
  response.writeHead(200, { 'Content-Type': 'application/xml', 'Content-Length': Buffer.byteLength(xml) }).end(xml);
}

function methodNotAllowed({ method, path }: S3Request): S3Error {
  return new S3Error('MethodNotAllowed', 405, `${method} is not allowed on ${path}`);
}

function answerError(error: S3Error, message: IncomingMessage, response: ServerResponse, requestId: string): void {
  if (response.headersSent) {
    // Too late to say anything: the client must see that the body is not whole.
    response.destroy();
    return;
  }
  const resource = message.url?.split('?')[0] ?? '';
  const xml = xmlDocument(
    'Error',
    { Code: error.code, Message: error.message, Resource: resource, RequestId: requestId },
    { plain: true },
  );
  const bodyless = message.method === 'HEAD' || error.status === 304;
  response.writeHead(error.status, {
    'Content-Type': 'application/xml',
    ...(bodyless ? {} : { 'Content-Length': Buffer.byteLength(xml) }),
  });
  if (message.complete) {
    response.end(bodyless ? undefined : xml);
    return;
  }
  if (bodyless) response.flushHeaders();
  else response.write(xml);
  takeRest(message, () => response.end());
}

/**
 * Reads what a client still sends of a body that was refused, then calls `taken`: one that writes all of it before it reads
 * would otherwise find its connection reset, and never hear why. The answer must not end before, since that closes the
 * connection of a client that asked for it.
 */
function takeRest(message: IncomingMessage, taken: () => void): void {
  let left = restBytes;
  const tooLate = setTimeout(() => message.destroy(), restMs);
  message.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) message.destroy();
  });
  message.once('end', taken);
  message.once('close', () => clearTimeout(tooLate));
  message.resume();
}

export function createS3Endpoint(options: S3EndpointOptions): S3Endpoint {
  return new S3Endpoint(options);
}
