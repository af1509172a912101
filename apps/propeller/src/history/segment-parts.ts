import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { logFormatVersion } from '../commit/log-encoding.js';

/** Consecutive entries of a run, encoded as a LogSegment. */
export interface LogPart {
  firstEntry: bigint;
  entries: number;
  segment: Uint8Array;
}

const entriesField = 2;

/**
 * Cuts an encoded LogSegment into smaller ones of about `bytes`, without decoding its entries: the history of a large run is one
 * object of up to a gigabyte. Entries before `from` are left out. Those of a format that this binary doesn't know are cut alike:
 * who decodes them says so.
 */
export function* cutSegment(segment: Uint8Array, firstEntry: bigint, from: bigint, bytes: number): Generator<LogPart> {
  const reader = new BinaryReader(segment);
  let version = logFormatVersion;
  let number = firstEntry;
  let part = newPart(version);
  let first = number;
  let count = 0;
  let size = 0;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.Varint) {
      version = Math.max(version, reader.uint32());
      continue;
    }
    if (field !== entriesField || type !== WireType.LengthDelimited) {
      reader.skip(type, field);
      continue;
    }
    const entry = reader.bytes();
    if (number++ < from) continue;
    if (count === 0) {
      first = number - 1n;
      part = newPart(version);
    }
    part.uint32((entriesField << 3) | WireType.LengthDelimited).bytes(entry);
    count += 1;
    size += entry.length;
    if (size < bytes) continue;
    yield { firstEntry: first, entries: count, segment: part.finish() };
    count = 0;
    size = 0;
  }
  if (count > 0) yield { firstEntry: first, entries: count, segment: part.finish() };
}

function newPart(version: number): BinaryWriter {
  return new BinaryWriter().uint32(1 << 3).uint32(version);
}
