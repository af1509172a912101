import { EngineInput, type LogEntry } from '@aloft/idl/aloft/v1/engine';
import { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { BinaryWriter } from '@aloft/idl/wire';
import { encodeBytes } from '../events/encode.js';

/** Version of LogSegment that this code writes; it reads all up to it. */
export const logFormatVersion = 1;

const lengthDelimited = 2;
const tag = (field: number): number => (field << 3) | lengthDelimited;

/**
 * One entry as an element of LogSegment.entries. An input that came over the bus is spliced in as its own bytes: what the log
 * holds is what was received, and nothing is encoded twice.
 */
export function encodeEntry(entry: LogEntry, received?: { field: number; bytes: Uint8Array }): Uint8Array {
  return encodeBytes((writer) => {
    writer.uint32(tag(2)).fork();
    Timestamp.encode(entry.time!, writer.uint32(tag(1)).fork()).join();
    if (entry.behaviourFlags !== 0n) writer.uint32(2 << 3).uint64(entry.behaviourFlags);
    writer.uint32(tag(3)).fork();
    if (received) writer.uint32(tag(received.field)).bytes(received.bytes);
    else EngineInput.encode(entry.input!, writer);
    writer.join().join();
  });
}

const header = new BinaryWriter()
  .uint32(1 << 3)
  .uint32(logFormatVersion)
  .finish();

/** A LogSegment of entries encoded by {@link encodeEntry}. */
export function segmentOf(entries: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([header, ...entries]);
}
