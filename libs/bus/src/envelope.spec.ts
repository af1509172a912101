import { envelope, executionKey, shardOf, tooNew } from './envelope.js';

const execution = { project: 'flytesnacks', domain: 'development', name: 'f1', org: '' };
const input = { id: 'm1', type: 'aloft.v1.TaskReport', payload: new Uint8Array([1, 2]) };

describe('envelope', () => {
  it('derives key and shard from the execution, the shard even under another key', () => {
    const built = envelope({ ...input, execution });
    expect(built.key).toBe('/flytesnacks/development/f1');
    expect(built.shard).toBe(shardOf(executionKey(execution)));
    expect(envelope({ ...input, execution, key: 'attempt' })).toMatchObject({ key: 'attempt', shard: built.shard });
    expect(envelope({ ...input, key: 'entity' }).shard).toBe(shardOf('entity'));
  });

  it('keeps time to the millisecond, before 1970 too', () => {
    const at = (ms: number) => envelope({ ...input, key: 'k', time: new Date(ms) }).time;
    expect(at(1_700_000_000_123)).toMatchObject({ seconds: 1_700_000_000n, nanos: 123_000_000 });
    expect(at(-1)).toMatchObject({ seconds: -1n, nanos: 999_000_000 });
  });

  it.each(['id', 'type'] as const)('refuses to be without %s', (field) => {
    expect(() => envelope({ ...input, key: 'k', [field]: '' })).toThrow(`envelope.${field}`);
  });

  it('refuses to be without a key', () => {
    expect(() => envelope(input)).toThrow('envelope.key');
  });
});

describe('shardOf', () => {
  // Stored in every message and lease: these must never change. FNV-1a 32: '' 811c9dc5, 'a' e40c292c, 'foobar' bf9cf968.
  it.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['foobar', 0xbf9cf968],
  ])('is FNV-1a of %j modulo 1024', (key, hash) => {
    expect(shardOf(key)).toBe(hash % 1024);
  });

  it('hashes UTF-8, and spreads keys', () => {
    expect(shardOf('/flytesnacks/development/größe')).toBe(
      shardOf(Buffer.from('/flytesnacks/development/größe').toString()),
    );
    const used = new Set(Array.from({ length: 20_000 }, (_, i) => shardOf(`/flytesnacks/development/f${i}`)));
    expect(used.size).toBe(1024);
  });
});

describe('tooNew', () => {
  it('lets a reader stop with what it is and what it would have to be', () => {
    const message = envelope({ ...input, key: 'k', schemaVersion: 4, minReaderVersion: 3 });
    expect(tooNew(message, 'tasks.reports/0 at position 7', {})?.message).toMatch(
      /position 7.*version 3 on, this one is 1/,
    );
    expect(tooNew(message, '', { 'aloft.v1.TaskReport': 3 })).toBeUndefined();
  });
});
