import { temporaryBlobStore } from '@aloft/blob/testing';
import { Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { literalOf, typeOf } from '@aloft/literals';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LiteralStore } from '../commit/literal-store.js';
import { LiteralRequests } from './literal-requests.js';

const list = (values: Literal[]): Literal =>
  Literal.create({ value: { $case: 'collection', value: { literals: values } } });

describe('literals that are stored', () => {
  let blob: ReturnType<typeof temporaryBlobStore>;

  beforeEach(() => {
    blob = temporaryBlobStore({ durable: false });
  });

  afterEach(() => blob.close());

  const requests = (offload?: { min: number; max: number }) =>
    new LiteralRequests(new LiteralStore(blob.store, 1024 * 1024), offload);
  const uri = 's3://aloft/n0/data/0/outputs.pb';
  const numbers = list([1, 2, 3].map((value) => literalOf.integer(value)));
  const store = (offload?: { min: number; max: number }) =>
    requests(offload).store({
      kind: 'store',
      uri,
      variables: { xs: { encoded: Literal.encode(numbers).finish() }, s: { literal: literalOf.integer(9) } },
      offload: { xs: typeOf.collection(typeOf.integer()) },
    });
  const written = async () => LiteralMap.decode(await blob.store.get(uri)).literals;

  it('C-105: large outputs lie apart where the platform says so, with their type and a hash of what they are', async () => {
    await store({ min: 8, max: 1000 });
    const { xs, s } = await written();
    expect(s).toMatchObject(literalOf.integer(9));
    expect(xs).toMatchObject({
      hash: expect.stringMatching(/^[\w-]{43}$/),
      value: {
        $case: 'offloadedMetadata',
        value: {
          uri: 's3://aloft/n0/data/0/xs_offloaded_metadata.pb',
          sizeBytes: BigInt(Literal.encode(numbers).finish().length),
          inferredType: typeOf.collection(typeOf.integer()),
        },
      },
    });
  });

  it('C-105: smaller ones, and all where it is off, stay where they are; larger ones are refused', async () => {
    for (const offload of [undefined, { min: 1000, max: 2000 }]) {
      await store(offload);
      expect((await written())['xs']).toMatchObject(numbers);
    }
    await expect(store({ min: 1, max: 2 })).rejects.toMatchObject({ code: 'LiteralTooLarge' });
  });

  it('C-105, C-103: what lies apart is looked into for lengths and by attribute paths', async () => {
    await store({ min: 8, max: 1000 });
    const { xs } = await written();
    const place = xs!.value?.$case === 'offloadedMetadata' ? xs!.value.value.uri : '';
    const reader = requests();
    expect(await reader.load({ kind: 'load', uri, lengthsOnly: true })).toMatchObject({
      value: { lengths: { xs: 3 } },
    });
    await reader.store({
      kind: 'store',
      uri: 's3://aloft/n1/data/inputs.pb',
      variables: {
        a: { uri, variable: 'xs', path: [1], type: typeOf.integer() },
        b: { offloaded: place, path: [2], type: typeOf.integer() },
        c: { uri, variable: 'xs', path: [], type: undefined },
      },
    });
    const { a, b, c } = LiteralMap.decode(await blob.store.get('s3://aloft/n1/data/inputs.pb')).literals;
    expect([a, b]).toMatchObject([literalOf.integer(2), literalOf.integer(3)]);
    expect(c).toMatchObject({ value: { $case: 'offloadedMetadata' } });
  });
});
