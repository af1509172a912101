/** Two bits an item. */
export const ItemState = { Waiting: 0, Active: 1, Succeeded: 2, Failed: 3 } as const;
export type ItemState = (typeof ItemState)[keyof typeof ItemState];

/** States of an array's items, packed four to a byte. */
export class PackedStates {
  readonly bytes: Uint8Array;

  constructor(
    readonly size: number,
    bytes?: Uint8Array,
  ) {
    this.bytes = bytes ?? new Uint8Array((size + 3) >>> 2);
  }

  get(index: number): ItemState {
    return ((this.bytes[index >>> 2]! >>> ((index & 3) << 1)) & 3) as ItemState;
  }

  set(index: number, state: ItemState): void {
    const shift = (index & 3) << 1;
    this.bytes[index >>> 2] = (this.bytes[index >>> 2]! & ~(3 << shift)) | (state << shift);
  }
}

/** Encoded outputs of the items that ended, in the order in which they did, with where each lies. */
export class PackedOutputs {
  /** Offset + 1 into the buffer; 0: none. */
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  buffer: Uint8Array;
  used = 0;

  constructor(size: number) {
    this.offsets = new Uint32Array(size);
    this.lengths = new Uint32Array(size);
    this.buffer = new Uint8Array(Math.min(1024, size * 16));
  }

  append(index: number, bytes: Uint8Array): void {
    if (this.used + bytes.length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.used + bytes.length));
      larger.set(this.buffer.subarray(0, this.used));
      this.buffer = larger;
    }
    this.buffer.set(bytes, this.used);
    this.offsets[index] = this.used + 1;
    this.lengths[index] = bytes.length;
    this.used += bytes.length;
  }

  get(index: number): Uint8Array | undefined {
    const offset = this.offsets[index]!;
    return offset === 0 ? undefined : this.buffer.subarray(offset - 1, offset - 1 + this.lengths[index]!);
  }
}

export type ArrayItems = PackedStates;
