import type { IncomingMessage } from 'node:http';
import { S3Error } from './s3-error.js';

/** A request taken apart: path-style, everything decoded once and never normalised. */
export class S3Request {
  readonly method: string;
  /** Decoded path, as it is signed. */
  readonly path: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: readonly (readonly [string, string])[];

  constructor(readonly message: IncomingMessage) {
    this.method = message.method ?? 'GET';
    const url = message.url ?? '/';
    const mark = url.indexOf('?');
    this.path = decode(mark < 0 ? url : url.slice(0, mark), false);
    const slash = this.path.indexOf('/', 1);
    this.bucket = slash < 0 ? this.path.slice(1) : this.path.slice(1, slash);
    this.key = slash < 0 ? '' : this.path.slice(slash + 1);
    this.query = mark < 0 ? [] : parseQuery(url.slice(mark + 1));
  }

  header(name: string): string | undefined {
    const value = this.message.headers[name];
    return Array.isArray(value) ? value.join(',') : value;
  }

  param(name: string): string | undefined {
    return this.query.find(([key]) => key === name)?.[1];
  }

  has(name: string): boolean {
    return this.query.some(([key]) => key === name);
  }

  /** An `x-amz-…` value: a header, or where a presigned URL carries it. */
  amz(name: string): string | undefined {
    return this.header(name) ?? this.query.find(([key]) => key.toLowerCase() === name)?.[1];
  }

  /** All `x-amz-meta-…` values by the rest of their names. */
  metadata(): Record<string, string> {
    const metadata: Record<string, string> = {};
    const take = (name: string, value: string) => {
      const lower = name.toLowerCase();
      if (lower.startsWith('x-amz-meta-')) metadata[lower.slice('x-amz-meta-'.length)] = value;
    };
    for (const [name, value] of this.query) take(name, value);
    for (const name of Object.keys(this.message.headers)) take(name, this.header(name) ?? '');
    const size = Object.entries(metadata).reduce(
      (sum, [name, value]) => sum + name.length + Buffer.byteLength(value),
      0,
    );
    if (size > 2048)
      throw new S3Error('MetadataTooLarge', 400, `user metadata has ${size} bytes; at most 2048 are allowed`);
    return metadata;
  }
}

function parseQuery(text: string): [string, string][] {
  return text
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=');
      return equals < 0
        ? [decode(part, true), '']
        : [decode(part.slice(0, equals), true), decode(part.slice(equals + 1), true)];
    });
}

function decode(text: string, plusIsSpace: boolean): string {
  try {
    return decodeURIComponent(plusIsSpace ? text.replace(/\+/g, ' ') : text);
  } catch {
    throw new S3Error('InvalidURI', 400, `"${text.slice(0, 200)}" is not properly percent-encoded UTF-8`);
  }
}
