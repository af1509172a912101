import { invalidArgument, type AloftError } from '@aloft/errors';

/**
 * A reader of MessagePack that walks bytes without decoding them. Decoding to JavaScript values and encoding again would
 * lose what Python told apart (5 and 5.0, int64, keys that aren't strings), so a part of a value is a slice of its bytes.
 */
export type MsgpackValue =
  | { kind: 'nil' }
  | { kind: 'boolean'; value: boolean }
  | { kind: 'integer'; value: bigint }
  | { kind: 'float'; value: number }
  | { kind: 'string'; value: string }
  | { kind: 'bytes'; value: Uint8Array }
  | { kind: 'extension'; type: number; value: Uint8Array }
  | { kind: 'list'; items: MsgpackPart[] }
  | { kind: 'map'; entries: { key: MsgpackValue; value: MsgpackPart }[] };

/** A part of an encoded value: its own bytes, read on request. */
export interface MsgpackPart {
  readonly bytes: Uint8Array;
  read(): MsgpackValue;
}

const deepest = 512;

/** @throws AloftError INVALID_ARGUMENT when the bytes aren't one whole MessagePack value */
export function msgpackPart(bytes: Uint8Array): MsgpackPart {
  const cursor = new Cursor(bytes);
  cursor.skip();
  if (cursor.at !== bytes.length) throw cursor.broken(`${bytes.length - cursor.at} bytes follow the value`);
  return part(bytes);
}

const part = (bytes: Uint8Array): MsgpackPart => ({ bytes, read: () => new Cursor(bytes).read() });

/** As plain JSON-like values: integers beyond 2^53 become bigint, keys strings. For showing, not for passing on. */
export function msgpackToPlain(value: MsgpackValue): unknown {
  switch (value.kind) {
    case 'nil':
      return null;
    case 'integer': {
      const number = Number(value.value);
      return Number.isSafeInteger(number) ? number : value.value;
    }
    case 'list':
      return value.items.map((item) => msgpackToPlain(item.read()));
    case 'map':
      return Object.fromEntries(
        value.entries.map((entry) => [String(msgpackToPlain(entry.key)), msgpackToPlain(entry.value.read())]),
      );
    default:
      return value.value;
  }
}

type Head =
  Exclude<MsgpackValue, { kind: 'list' | 'map' }> | { kind: 'list'; length: number } | { kind: 'map'; length: number };

class Cursor {
  at = 0;
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  broken(problem: string): AloftError {
    return invalidArgument(`malformed msgpack at byte ${this.at} of ${this.bytes.length}: ${problem}`);
  }

  read(): MsgpackValue {
    const head = this.head();
    if (head.kind === 'list') return { kind: 'list', items: Array.from({ length: head.length }, () => this.part()) };
    if (head.kind !== 'map') return head;
    const entries = Array.from({ length: head.length }, () => ({ key: this.read(), value: this.part() }));
    return { kind: 'map', entries };
  }

  /** Past one value, without recursion: depth costs no stack. */
  skip(): void {
    const open: number[] = [1];
    while (open.length > 0) {
      if (open[open.length - 1]! === 0) {
        open.pop();
        continue;
      }
      open[open.length - 1]!--;
      const head = this.head();
      if (head.kind !== 'list' && head.kind !== 'map') continue;
      if (open.length >= deepest) throw this.broken(`nested deeper than ${deepest} levels`);
      open.push(head.kind === 'map' ? head.length * 2 : head.length);
    }
  }

  private part(): MsgpackPart {
    const from = this.at;
    this.skip();
    return part(this.bytes.subarray(from, this.at));
  }

  private head(): Head {
    const code = this.uint(1);
    if (code <= 0x7f) return { kind: 'integer', value: BigInt(code) };
    if (code <= 0x8f) return { kind: 'map', length: code & 0x0f };
    if (code <= 0x9f) return { kind: 'list', length: code & 0x0f };
    if (code <= 0xbf) return this.text(code & 0x1f);
    if (code >= 0xe0) return { kind: 'integer', value: BigInt(code - 0x100) };
    switch (code) {
      case 0xc0:
        return { kind: 'nil' };
      case 0xc2:
      case 0xc3:
        return { kind: 'boolean', value: code === 0xc3 };
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return { kind: 'bytes', value: this.take(this.uint(1 << (code - 0xc4))) };
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.extension(this.uint(1 << (code - 0xc7)));
      case 0xca:
        return { kind: 'float', value: this.view.getFloat32(this.advance(4)) };
      case 0xcb:
        return { kind: 'float', value: this.view.getFloat64(this.advance(8)) };
      case 0xcc:
      case 0xcd:
      case 0xce:
        return { kind: 'integer', value: BigInt(this.uint(1 << (code - 0xcc))) };
      case 0xcf:
        return { kind: 'integer', value: this.view.getBigUint64(this.advance(8)) };
      case 0xd0:
        return { kind: 'integer', value: BigInt(this.view.getInt8(this.advance(1))) };
      case 0xd1:
        return { kind: 'integer', value: BigInt(this.view.getInt16(this.advance(2))) };
      case 0xd2:
        return { kind: 'integer', value: BigInt(this.view.getInt32(this.advance(4))) };
      case 0xd3:
        return { kind: 'integer', value: this.view.getBigInt64(this.advance(8)) };
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.extension(1 << (code - 0xd4));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.text(this.uint(1 << (code - 0xd9)));
      case 0xdc:
      case 0xdd:
        return { kind: 'list', length: this.length(this.uint(code === 0xdc ? 2 : 4)) };
      case 0xde:
      case 0xdf:
        return { kind: 'map', length: this.length(this.uint(code === 0xde ? 2 : 4)) };
      default:
        throw this.broken(`0x${code.toString(16)} starts no value`);
    }
  }

  private text(length: number): Head {
    return { kind: 'string', value: Buffer.from(this.take(length)).toString('utf8') };
  }

  private extension(length: number): Head {
    const type = this.view.getInt8(this.advance(1));
    return { kind: 'extension', type, value: this.take(length) };
  }

  /** A length can't exceed the bytes that are left, an item taking one at least: no memory for what isn't there. */
  private length(claimed: number): number {
    if (claimed > this.bytes.length - this.at) throw this.broken(`${claimed} items claimed, too few bytes left`);
    return claimed;
  }

  private uint(size: number): number {
    const from = this.advance(size);
    return size === 1 ? this.view.getUint8(from) : size === 2 ? this.view.getUint16(from) : this.view.getUint32(from);
  }

  private take(length: number): Uint8Array {
    const from = this.advance(length);
    return this.bytes.subarray(from, from + length);
  }

  private advance(count: number): number {
    const from = this.at;
    if (from + count > this.bytes.length) throw this.broken(`${count} bytes wanted, ${this.bytes.length - from} left`);
    this.at += count;
    return from;
  }
}
