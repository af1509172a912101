import type { StoredObject } from '../local/local-objects.js';
import { S3Error } from './s3-error.js';
import type { S3Request } from './s3-request.js';

export type Verdict = 'proceed' | 'not-modified';

/** Conditional headers of a read, in the order of RFC 9110 (section 13.2.2). `prefix`: of a copy's source. */
export function checkConditions(request: S3Request, object: StoredObject, prefix = ''): Verdict {
  const header = (name: string) => request.header(prefix + name);
  const seconds = Math.floor(object.lastModified.getTime() / 1000) * 1000;
  const ifMatch = header('if-match');
  const ifUnmodified = dateOf(header('if-unmodified-since'));
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, object.etag)) throw failed('If-Match');
  } else if (ifUnmodified !== undefined && seconds > ifUnmodified) throw failed('If-Unmodified-Since');
  const ifNoneMatch = header('if-none-match');
  const ifModified = dateOf(header('if-modified-since'));
  const unchanged =
    ifNoneMatch !== undefined ? matches(ifNoneMatch, object.etag) : ifModified !== undefined && seconds <= ifModified;
  if (!unchanged) return 'proceed';
  if (prefix !== '') throw failed(`${prefix}if-none-match`);
  return 'not-modified';
}

/** A write's conditions: whether it must not replace anything. */
export function checkWriteConditions(request: S3Request, current: StoredObject | undefined): { ifAbsent: boolean } {
  const ifNoneMatch = request.header('if-none-match');
  if (ifNoneMatch !== undefined && ifNoneMatch.trim() !== '*')
    throw new S3Error('NotImplemented', 501, 'a write accepts If-None-Match: * only');
  const ifMatch = request.header('if-match');
  if (ifMatch !== undefined) {
    if (current === undefined) throw new S3Error('NoSuchKey', 404, 'If-Match was given, but there is no such object');
    if (!matches(ifMatch, current.etag)) throw failed('If-Match');
  }
  return { ifAbsent: ifNoneMatch !== undefined };
}

function matches(header: string, etag: string): boolean {
  return header
    .split(',')
    .map((one) => one.trim().replace(/^W\//, '').replace(/^"|"$/g, ''))
    .some((one) => one === '*' || one === etag);
}

function dateOf(header: string | undefined): number | undefined {
  const time = header === undefined ? NaN : Date.parse(header);
  return Number.isNaN(time) ? undefined : time;
}

function failed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', 412, `the condition ${condition} does not hold`);
}

export interface ByteRange {
  start: number;
  end: number;
}

/** The range asked for, inclusive; `undefined` = the whole object (also for several ranges, which S3 does not do). */
export function rangeOf(header: string | undefined, size: number): ByteRange | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '') ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined;
  const range =
    first === ''
      ? { start: Math.max(0, size - Number(last)), end: size - 1 }
      : { start: Number(first), end: last === '' ? size - 1 : Math.min(Number(last), size - 1) };
  if (last !== '' && first !== '' && Number(last) < Number(first)) return undefined;
  if (range.start >= size || range.end < range.start)
    throw new S3Error('InvalidRange', 416, `the object has ${size} bytes: the range ${header} cannot be satisfied`);
  return range;
}
