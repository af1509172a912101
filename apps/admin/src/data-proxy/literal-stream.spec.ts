import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { literalOf } from '@aloft/literals';
import fc from 'fast-check';
import { scanLiterals } from './literal-stream.js';

/** In pieces that end at these places. */
async function* pieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts, bytes.length].map((at) => Math.min(at, bytes.length)).sort((a, b) => a - b)) {
    yield bytes.subarray(from, cut);
    from = cut;
  }
}

describe('scanning literals (Q-20)', () => {
  const strings = fc.dictionary(fc.string({ maxLength: 20 }), fc.string({ maxLength: 2_000 }), { maxKeys: 8 });

  test('finds what decoding finds, however the stream is cut', async () => {
    const cuts = fc.array(fc.nat(5_000), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(strings, cuts, fc.nat(8), async (values, at, pick) => {
        const map = {
          literals: Object.fromEntries(Object.entries(values).map(([name, text]) => [name, literalOf.string(text)])),
        };
        const bytes = LiteralMap.encode(map).finish();
        const wanted = Object.keys(values)[pick] ?? 'none of these, it is too long';
        const found = await scanLiterals(pieces(bytes, at), { wanted, maxBytes: 10_000 });
        expect(found.literal).toEqual(LiteralMap.decode(bytes).literals[wanted]);
        const all = await scanLiterals(pieces(bytes, at), { wanted: undefined, maxBytes: 0 });
        expect(all.variables.map(({ name }) => name)).toEqual(Object.keys(values));
      }),
    );
  });

  test('what ends early or is no message is DATA_LOSS', async () => {
    const bytes = LiteralMap.encode({ literals: { a: literalOf.string('text') } }).finish();
    for (const broken of [bytes.subarray(0, bytes.length - 1), Buffer.from('no literals'), Buffer.alloc(12, 0xff)])
      await expect(scanLiterals(pieces(broken, []), { wanted: 'b', maxBytes: 100 })).rejects.toMatchObject({
        code: 'DATA_LOSS',
      });
  });

  test('a gigabyte before the one that is wanted is not held', async () => {
    const small = LiteralMap.encode({ literals: { small: literalOf.integer(7n) } }).finish();
    const size = 2 ** 30;
    const header = Buffer.concat([
      varint((1 << 3) | 2),
      varint(3 + 6 + size),
      Buffer.from([0x0a, 1, 0x61]),
      Buffer.from([0x12]),
      varint(size),
    ]);
    const chunk = Buffer.alloc(2 ** 20);
    async function* stream() {
      yield header;
      for (let i = 0; i < size / chunk.length; i += 1) yield chunk;
      yield small;
    }
    const before = process.memoryUsage().arrayBuffers;
    const found = await scanLiterals(stream(), { wanted: 'small', maxBytes: 100 });
    expect(found.literal).toMatchObject(literalOf.integer(7n));
    expect(found.variables).toEqual([{ name: 'a', bytes: size }, expect.objectContaining({ name: 'small' })]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 26);
  });
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}
