import type { BlobStore } from '@aloft/blob';
import { integer, integerType, launchOf } from '@aloft/backend-kit/testing';
import { Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { runInline } from './inline-types.js';
import { StoredInputs } from './stored-inputs.js';

const list = Literal.fromPartial({
  value: { $case: 'collection', value: { literals: Array.from({ length: 1000 }, (_, i) => integer(i)) } },
});
const bytes = LiteralMap.encode({ literals: { x: list, one: integer(7) } }).finish();

function storage() {
  const reads: string[] = [];
  const get = async (uri: string) => {
    reads.push(uri);
    return bytes;
  };
  return { reads, blob: { get } as unknown as BlobStore };
}

describe('stored inputs', () => {
  it('are what was encoded', async () => {
    const inputs = await new StoredInputs().load('s3://b/inputs', storage().blob);
    expect(inputs.names).toEqual(['one', 'x']);
    expect(inputs.get('x')).toMatchObject(list);
    expect(inputs.get('one')).toMatchObject(integer(7));
    expect(inputs.get('y')).toBeUndefined();
    expect([inputs.isList('x'), inputs.isList('one'), inputs.isList('y')]).toEqual([true, false, false]);
    for (const index of [0, 1, 500, 999]) expect(inputs.element('x', index)).toMatchObject(integer(index));
    expect(inputs.element('x', 1000)).toBeUndefined();
  });

  it('are read once, whoever asks meanwhile', async () => {
    const { reads, blob } = storage();
    const stored = new StoredInputs();
    expect(stored.peek('s3://b/inputs')).toBeUndefined();
    await Promise.all([stored.load('s3://b/inputs', blob), stored.load('s3://b/inputs', blob)]);
    await stored.load('s3://b/inputs', blob);
    expect(reads).toEqual(['s3://b/inputs']);
    expect(stored.peek('s3://b/inputs')).toBeDefined();
  });

  it('give each item of an array its element', async () => {
    const launch = launchOf({ name: 'a', type: 'noop', index: 3, outputs: { o0: integerType } });
    const stored = { uri: 's3://b/inputs', size: BigInt(bytes.length), digest: Buffer.alloc(0) };
    launch.inputs = { value: { $case: 'stored', value: stored } };
    // The first of the names in order.
    const onlyList = LiteralMap.encode({ literals: { x: list } }).finish();
    const blob = { get: async () => onlyList } as unknown as BlobStore;
    expect(runInline(launch)).toBeUndefined();
    const inputs = await new StoredInputs().load(stored.uri, blob);
    const result = runInline(launch, () => inputs)?.outcome?.result;
    expect(result?.$case === 'outputs' && result.value).toMatchObject({
      value: { $case: 'inline', value: { literals: { o0: integer(3) } } },
    });
  });
});
