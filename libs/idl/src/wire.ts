import { BinaryWriter as Growing } from '@bufbuild/protobuf/wire';

export { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** What the library's writer works on: private there, by name the same since its first version. */
interface Internals {
  buffer: Uint8Array;
  viewCache: DataView;
  pos: number;
  stackPos: number[];
}

const noView = new DataView(new ArrayBuffer(0));
const none = new Uint8Array(0);
const firstBytes = 16 * 1024;
/** A writer that grew beyond it takes its memory with it. */
const maxKept = 1024 * 1024;
const slabBytes = 16 * 1024;
/** Messages above it get memory of their own. */
const maxShared = 2 * 1024;

/** Memory to write in, while nobody does. */
let spare: Uint8Array | undefined = new Uint8Array(firstBytes);
let slab = new ArrayBuffer(slabBytes);
let slabUsed = 0;

/**
 * The library's writer, without its garbage: writers take turns with one buffer instead of growing a new one each from nothing, and
 * small messages are cut from common slabs. Under load that was a quarter of all time. For one message: what is written after
 * `finish` begins small again.
 */
export class BinaryWriter extends Growing {
  constructor() {
    super();
    (this as unknown as Internals).buffer = spare ?? new Uint8Array(firstBytes);
    spare = undefined;
  }

  override finish(): Uint8Array<ArrayBuffer> {
    const internals = this as unknown as Internals;
    const { buffer, pos } = internals;
    const message = copy(buffer, pos);
    if (buffer.length >= firstBytes && buffer.length <= maxKept) spare = buffer;
    internals.buffer = none;
    internals.viewCache = noView;
    internals.pos = 0;
    internals.stackPos = [];
    return message;
  }
}

function copy(buffer: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  if (length > maxShared) return buffer.slice(0, length) as Uint8Array<ArrayBuffer>;
  if (slabUsed + length > slabBytes) {
    slab = new ArrayBuffer(slabBytes);
    slabUsed = 0;
  }
  const message = new Uint8Array(slab, slabUsed, length);
  // Aligned, as memory of its own would be.
  slabUsed += (length + 7) & ~7;
  if (length > 0) message.set(buffer.subarray(0, length));
  return message;
}
