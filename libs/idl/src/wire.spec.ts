import { BinaryWriter as Plain } from '@bufbuild/protobuf/wire';
import { LiteralMap } from './gen/flyteidl/core/literals.js';
import { BinaryWriter } from './wire.js';

/** Something of every kind of field, of about so many bytes. */
function fill<W extends Plain>(writer: W, bytes: number): W {
  writer.uint32(10).string('ü'.repeat(bytes / 2));
  writer.uint32(18).fork().uint32(9).double(Math.PI).uint32(21).float(0.5).join();
  writer.uint32(26).bytes(new Uint8Array(bytes % 100).fill(7));
  return writer;
}

describe('the writer of all codecs', () => {
  it.each([0, 1, 100, 2_000, 3_000, 20_000, 3_000_000])('writes what the library’s does (%i bytes)', (bytes) => {
    expect(fill(new BinaryWriter(), bytes).finish()).toEqual(fill(new Plain(), bytes).finish());
  });

  it('messages stay as they are, whatever is written after, also one within another', () => {
    const sizes = Array.from({ length: 300 }, (_, i) => (i * 37) % 1500);
    const outer = new BinaryWriter();
    const written = sizes.map((size) => {
      const message = fill(new BinaryWriter(), size).finish();
      outer.uint32(10).bytes(message);
      return message;
    });
    const expected = sizes.map((size) => fill(new Plain(), size).finish());
    expect(written).toEqual(expected);
    const whole = new Plain();
    for (const message of expected) whole.uint32(10).bytes(message);
    expect(outer.finish()).toEqual(whole.finish());
  });

  it('can be used again after its end', () => {
    const writer = new BinaryWriter();
    for (const size of [50_000, 10, 100]) {
      const other = fill(new BinaryWriter(), size);
      expect(fill(writer, size).finish()).toEqual(fill(new Plain(), size).finish());
      expect(other.finish()).toEqual(fill(new Plain(), size).finish());
    }
  });
});

test('a map\'s key "__proto__" is a key like any other, and nothing is looked up in its value', () => {
  // literals { key: "__proto__" value { hash: "h" } } literals { key: "x" value { } }
  const bytes = Buffer.from('0a100a095f5f70726f746f5f5f1203220168' + '0a050a01781200', 'hex');
  const map = LiteralMap.decode(bytes);
  expect(Object.keys(map.literals)).toEqual(['__proto__', 'x']);
  expect(Object.getPrototypeOf(map.literals)).toBe(Object.prototype);
  expect(Buffer.from(LiteralMap.encode(map).finish())).toEqual(bytes);
});
