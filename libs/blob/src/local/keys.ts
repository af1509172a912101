import { invalidArgument } from '@aloft/errors';

const maxKeyBytes = 1024;
const maxSegmentBytes = 255;
const escape = '.aloft~';
const emptyFolder = `${escape}empty`;
const emptyFile = `${escape}folder`;

/**
 * Path of a key relative to its bucket's folder. The key itself, for every key that is a plain relative path: processes of
 * this machine write and read objects under their own names. Only segments that no file can be called are written
 * differently: an empty one as `.aloft~empty` (`a//b`) or `.aloft~folder` (`a/`), and one that starts with `.aloft~` with a second `~`.
 * INVALID_ARGUMENT for what could leave the folder or cannot be a file: `.`, `..`, NUL, segments over 255 bytes.
 */
export function pathOfKey(key: string): string {
  if (key === '') throw invalidArgument('an object needs a key: s3://<bucket>/<key>');
  if (Buffer.byteLength(key) > maxKeyBytes)
    throw invalidArgument(
      `key "${key.slice(0, 80)}…" has ${Buffer.byteLength(key)} bytes; at most ${maxKeyBytes} are allowed`,
    );
  if (key.includes('\0')) throw invalidArgument(`key ${JSON.stringify(key)} contains a NUL character`);
  const segments = key.split('/');
  return segments.map((segment, i) => nameOfSegment(segment, i === segments.length - 1, key)).join('/');
}

function nameOfSegment(segment: string, last: boolean, key: string): string {
  if (segment === '') return last ? emptyFile : emptyFolder;
  if (segment === '.' || segment === '..')
    throw invalidArgument(`key "${key}" contains the path segment "${segment}": use a key without it`);
  const name = segment.startsWith(escape) ? `${escape}~${segment.slice(escape.length)}` : segment;
  if (Buffer.byteLength(name) > maxSegmentBytes)
    throw invalidArgument(`key "${key}" has a path segment of more than ${maxSegmentBytes} bytes`);
  return name;
}

/** The key's segment behind a file's name. */
export function segmentOfName(name: string): string {
  if (name === emptyFolder || name === emptyFile) return '';
  return name.startsWith(`${escape}~`) ? escape + name.slice(escape.length + 1) : name;
}

/** S3's order of keys: by their UTF-8 bytes. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const plain = a < b ? -1 : 1;
  // UTF-16 and UTF-8 order differ only where surrogates meet characters from U+E000 on.
  return /[\ud800-\uffff]/.test(a + b) ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : plain;
}
