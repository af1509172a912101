import { randomBytes } from 'node:crypto';
import { invalidArgument } from '@aloft/errors';
import type { CreateUploadLocationRequest } from '@aloft/idl/flyteidl/service/dataproxy';
import type { Duration } from '@aloft/idl/google/protobuf/duration';
import { requirePart } from '../registry/identifiers.js';

const md5Bytes = 16;
/** Of the 1,024 that an object's key may have; the rest is for the prefix. */
const maxPathBytes = 960;
const unfit = new Set(['', '.', '..']);
const base32Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Standard base32 with padding, as Go's encoding does it. */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += base32Alphabet[(value >>> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  if (bits > 0) text += base32Alphabet[(value << (5 - bits)) & 31];
  return text.padEnd(Math.ceil(text.length / 8) * 8, '=');
}

/**
 * `<org?>/<project>/<domain>/<root or base32(md5)>/<filename or 20 random>`; `fixed` when the caller chose the whole place.
 */
export function uploadPath(request: CreateUploadLocationRequest): { path: string; fixed: boolean } {
  const { org, project, domain, filename, filenameRoot, contentMd5 } = request;
  requirePart(project, 'project');
  requirePart(domain, 'domain');
  if (contentMd5.length === 0 && filenameRoot === '')
    throw invalidArgument('content_md5: missing; give the MD5 of the content (16 bytes) or a filename_root');
  if (contentMd5.length !== 0 && contentMd5.length !== md5Bytes)
    throw invalidArgument(`content_md5: ${contentMd5.length} bytes; an MD5 has ${md5Bytes}`);
  for (const [where, text] of [
    ['filename', filename],
    ['filename_root', filenameRoot],
  ] as const)
    if (text !== '' && (text.split('/').some((part) => unfit.has(part)) || text.includes('\0')))
      throw invalidArgument(
        `${where}: ${JSON.stringify(text.slice(0, 200))} must be a relative path without empty parts, "." or ".."`,
      );
  const root = filenameRoot || base32(contentMd5);
  const name = filename || randomBytes(10).toString('hex');
  const path = [...(org === '' ? [] : [org]), project, domain, root, name].join('/');
  if (Buffer.byteLength(path) > maxPathBytes)
    throw invalidArgument(
      `filename: with a root of ${root.length} and a filename of ${name.length} characters, the path has ` +
        `${Buffer.byteLength(path)} bytes; at most ${maxPathBytes} are allowed`,
    );
  return {
    path,
    fixed: filenameRoot !== '' && filename !== '',
  };
}

/** K-27: at most the cap, which is also the default. */
export function expirySeconds(expiresIn: Duration | undefined, cap: number): number {
  if (!expiresIn) return cap;
  const seconds = Number(expiresIn.seconds) + expiresIn.nanos / 1e9;
  if (seconds === 0) return cap;
  if (seconds < 1 || seconds > cap)
    throw invalidArgument(`expires_in: ${seconds} seconds; between 1 second and ${cap} seconds are allowed`);
  return Math.floor(seconds);
}

/** Whether an object's MD5 (from its metadata, else its ETag) is this one, in hex, base32 or base64. */
export function sameMd5(known: string | undefined, md5: Buffer): boolean {
  if (!known) return false;
  return known === md5.toString('hex') || known === base32(md5) || known === md5.toString('base64');
}
