import { createHash } from 'node:crypto';
import type { Payload, SignatureChain } from './authentication.js';
import { checksumNames, createChecksum, type Checksum } from './checksums.js';
import { invalidArgument, invalidRequest, S3Error } from './s3-error.js';
import type { S3Request } from './s3-request.js';
import { equalSignatures, sha256Hex } from './sigv4.js';

/**
 * A request's body as the object's bytes. Streams; what the client declared (length, SHA-256, chunk signatures, checksums,
 * Content-MD5) is verified by `verify`, to be called after the last byte and before the object becomes visible.
 */
export class ObjectBody {
  private readonly checksums = new Map<string, { sum: Checksum; expected: string | undefined }>();
  private readonly sha256;
  private readonly md5: Buffer | undefined;
  private readonly length: number | undefined;
  private read = 0;

  constructor(
    private readonly request: S3Request,
    private readonly payload: Payload,
  ) {
    this.sha256 = payload.kind === 'plain' && payload.sha256 !== undefined ? createHash('sha256') : undefined;
    this.md5 = contentMd5(request);
    const declared = request.header(payload.kind === 'chunked' ? 'x-amz-decoded-content-length' : 'content-length');
    if (declared === undefined && (payload.kind === 'chunked' || request.header('transfer-encoding') === undefined))
      throw new S3Error('MissingContentLength', 411, 'the length of the body must be given');
    this.length = declared === undefined ? undefined : Number(declared);
    if (this.length !== undefined && !Number.isSafeInteger(this.length))
      throw invalidArgument(`"${declared}" is no length of a body`);
    for (const name of checksumNames) {
      const expected = request.amz(`x-amz-checksum-${name}`);
      const sum = expected === undefined ? undefined : createChecksum(name);
      if (sum) this.checksums.set(name, { sum, expected });
    }
    for (const trailer of (request.amz('x-amz-trailer') ?? '').split(',')) {
      const name = trailer.trim().toLowerCase().replace('x-amz-checksum-', '');
      const sum = createChecksum(name);
      if (sum) this.checksums.set(name, { sum, expected: undefined });
    }
  }

  async *bytes(): AsyncGenerator<Uint8Array> {
    // The connection must survive an early end: it still has to carry the answer.
    const wire = this.request.message.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>;
    for await (const chunk of this.payload.kind === 'plain' ? wire : this.chunks(wire, this.payload)) {
      this.read += chunk.length;
      if (this.length !== undefined && this.read > this.length) throw this.wrongLength();
      this.sha256?.update(chunk);
      for (const { sum } of this.checksums.values()) sum.update(chunk);
      yield chunk;
    }
  }

  verify(md5: Buffer): void {
    if (this.length !== undefined && this.read !== this.length) throw this.wrongLength();
    if (this.payload.kind === 'plain' && this.sha256 && this.sha256.digest('hex') !== this.payload.sha256)
      throw new S3Error('XAmzContentSHA256Mismatch', 400, 'the body does not have the declared x-amz-content-sha256');
    if (this.md5 && !this.md5.equals(md5))
      throw new S3Error('BadDigest', 400, `the body's MD5 is ${md5.toString('base64')}, not the declared Content-MD5`);
    for (const [name, { sum, expected }] of this.checksums) {
      const actual = sum.digest().toString('base64');
      if (expected === undefined)
        throw invalidRequest(`the trailer x-amz-checksum-${name} was announced but did not come`);
      if (actual !== expected)
        throw new S3Error('BadDigest', 400, `the body's ${name} is ${actual}, not the declared ${expected}`);
    }
  }

  private wrongLength(): S3Error {
    return new S3Error('IncompleteBody', 400, `the body has ${this.read} bytes; ${this.length} were declared`);
  }

  /** Decodes aws-chunked. */
  private async *chunks(
    wire: AsyncIterable<Buffer>,
    { chain, trailer }: { chain: SignatureChain | undefined; trailer: boolean },
  ): AsyncGenerator<Buffer> {
    const reader = new WireReader(wire);
    for (;;) {
      const header = await reader.line();
      const [, hex, sign] = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(header) ?? [];
      if (hex === undefined || (chain && sign === undefined))
        throw invalidRequest(`"${header.slice(0, 100)}" is no head of an aws-chunked chunk`);
      const size = parseInt(hex, 16);
      const hash = chain ? createHash('sha256') : undefined;
      for await (const part of reader.exactly(size)) {
        hash?.update(part);
        yield part;
      }
      if (chain && hash) assertSignature(chain.next(hash.digest('hex')), sign!, 'a chunk');
      if (size === 0) break;
      if ((await reader.line()) !== '') throw invalidRequest('a chunk is longer than its head says');
    }
    await this.trailers(reader, chain, trailer);
  }

  private async trailers(reader: WireReader, chain: SignatureChain | undefined, expected: boolean): Promise<void> {
    let signedText = '';
    let verified = false;
    for (let line = await reader.line(); line !== ''; line = await reader.line()) {
      if (!expected) throw invalidRequest('a trailer came that was not announced');
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).trim().toLowerCase();
      const value = line.slice(colon + 1).trim();
      if (name === 'x-amz-trailer-signature') {
        if (chain) assertSignature(chain.trailer(sha256Hex(signedText)), value, 'the trailer');
        verified = true;
        continue;
      }
      signedText += `${name}:${value}\n`;
      const checksum = this.checksums.get(name.replace('x-amz-checksum-', ''));
      if (checksum) checksum.expected = value;
    }
    if (chain && expected && !verified) throw invalidRequest('the trailer has no x-amz-trailer-signature');
  }
}

function assertSignature(expected: string, actual: string, what: string): void {
  if (!equalSignatures(expected, actual))
    throw new S3Error('SignatureDoesNotMatch', 403, `the signature of ${what} of the body does not match`);
}

function contentMd5(request: S3Request): Buffer | undefined {
  const header = request.header('content-md5');
  if (header === undefined) return undefined;
  const md5 = Buffer.from(header, 'base64');
  if (md5.length !== 16) throw new S3Error('InvalidDigest', 400, `Content-MD5 "${header}" is not 16 bytes in base64`);
  return md5;
}

const maxLineBytes = 8 * 1024;

/** Reads lines and counted bytes off a stream of buffers. */
class WireReader {
  private readonly source: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(wire: AsyncIterable<Buffer>) {
    this.source = wire[Symbol.asyncIterator]();
  }

  /** Without its CRLF; the end of the stream reads as an empty line once all has been read. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.rest.indexOf('\r\n');
      if (end >= 0) {
        const line = this.rest.toString('latin1', 0, end);
        this.rest = this.rest.subarray(end + 2);
        return line;
      }
      if (this.rest.length > maxLineBytes) throw invalidRequest('a line of the aws-chunked body is too long');
      if (!(await this.more())) {
        if (this.rest.length === 0) return '';
        throw invalidRequest('the aws-chunked body ends within a line');
      }
    }
  }

  async *exactly(size: number): AsyncGenerator<Buffer> {
    let left = size;
    while (left > 0) {
      if (this.rest.length === 0 && !(await this.more()))
        throw new S3Error('IncompleteBody', 400, 'the aws-chunked body ends within a chunk');
      const part = this.rest.subarray(0, left);
      this.rest = this.rest.subarray(part.length);
      left -= part.length;
      if (part.length > 0) yield part;
    }
  }

  private async more(): Promise<boolean> {
    const next = await this.source.next();
    if (next.done) return false;
    this.rest = this.rest.length === 0 ? next.value : Buffer.concat([this.rest, next.value]);
    return true;
  }
}
