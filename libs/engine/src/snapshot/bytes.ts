import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';

/** How generated messages encode themselves. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** Appends varints, strings and messages to a growing buffer. */
export class ByteWriter {
  private buffer = new Uint8Array(1024);
  private used = 0;

  finish(): Uint8Array {
    return this.buffer.slice(0, this.used);
  }

  /** A whole number from -1 up; below 2^53. */
  int(value: number): void {
    this.room(10);
    let rest = value + 1;
    while (rest >= 128) {
      this.buffer[this.used++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.buffer[this.used++] = rest;
  }

  flag(value: boolean): void {
    this.int(value ? 1 : 0);
  }

  bytes(bytes: Uint8Array): void {
    this.int(bytes.length);
    this.room(bytes.length);
    this.buffer.set(bytes, this.used);
    this.used += bytes.length;
  }

  string(value: string): void {
    const start = this.used;
    this.int(value.length);
    this.room(value.length);
    for (let at = 0; at < value.length; at++) {
      const code = value.charCodeAt(at);
      if (code > 127) {
        this.used = start;
        return this.bytes(utf8.encode(value));
      }
      this.buffer[this.used++] = code;
    }
  }

  ints(values: ArrayLike<number>): void {
    this.int(values.length);
    for (let at = 0; at < values.length; at++) this.int(values[at]!);
  }

  message<T>(codec: Codec<T>, value: T | undefined): void {
    if (value === undefined) return this.flag(false);
    this.flag(true);
    this.bytes(codec.encode(value).finish());
  }

  /** Directly, not as a message: there are several in every node. */
  time(value: Timestamp | undefined): void {
    this.int(value ? Number(value.seconds) : -1);
    if (value) this.int(value.nanos);
  }

  list<T>(values: Iterable<T>, write: (value: T) => void): void {
    const all = [...values];
    this.int(all.length);
    all.forEach(write);
  }

  private room(bytes: number): void {
    if (this.used + bytes <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.used + bytes));
    larger.set(this.buffer.subarray(0, this.used));
    this.buffer = larger;
  }
}

/** Reads what a {@link ByteWriter} wrote. @throws Error where the bytes end too early. */
export class ByteReader {
  private at = 0;
  /** Of the snapshot being read: what later ones added isn't there. */
  version = 0;

  constructor(private readonly buffer: Uint8Array) {}

  get atEnd(): boolean {
    return this.at === this.buffer.length;
  }

  int(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (this.at >= this.buffer.length) throw new Error('engine: the snapshot ends too early');
      const byte = this.buffer[this.at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value - 1;
      scale *= 128;
    }
  }

  flag(): boolean {
    return this.int() === 1;
  }

  bytes(): Uint8Array {
    const length = this.int();
    if (this.at + length > this.buffer.length) throw new Error('engine: the snapshot ends too early');
    const bytes = this.buffer.slice(this.at, this.at + length);
    this.at += length;
    return bytes;
  }

  string(): string {
    const bytes = this.bytes();
    return bytes.length === 0 ? '' : text.decode(bytes);
  }

  ints(into: Int32Array | Uint32Array | Uint8Array): void {
    const length = this.int();
    if (length !== into.length)
      throw new Error(`engine: the snapshot has ${length} numbers where its graph has ${into.length}`);
    for (let at = 0; at < length; at++) into[at] = this.int();
  }

  /** As many as were written. */
  manyInts(): Int32Array {
    const values = new Int32Array(this.int());
    for (let at = 0; at < values.length; at++) values[at] = this.int();
    return values;
  }

  time(): Timestamp | undefined {
    const seconds = this.int();
    return seconds < 0 ? undefined : { seconds: BigInt(seconds), nanos: this.int() };
  }

  message<T>(codec: Codec<T>): T | undefined {
    return this.flag() ? codec.decode(this.bytes()) : undefined;
  }

  list(read: () => void): void {
    const length = this.int();
    for (let at = 0; at < length; at++) read();
  }
}
