import { readFileSync } from 'node:fs';
import { create, equals, fromBinary, toBinary, type JsonValue } from '@bufbuild/protobuf';
import { descriptorRegistry, fromJson, messageDescriptor, toJson } from './json.js';

interface Golden {
  name: string;
  type: string;
  /** Base64 of what flytekit's protobuf runtime encoded. */
  bytes: string;
  /** What Google's protobuf runtime for Python says its canonical JSON is. */
  json: JsonValue;
}

const golden = JSON.parse(readFileSync(new URL('../testdata/golden.json', import.meta.url), 'utf8')) as Golden[];

interface Codec {
  decode(bytes: Uint8Array): object;
  encode(message: object): { finish(): Uint8Array };
}

/** The generated codec of a message, found as the generator lays files out: `flyteidl.core.Literal` in flyteidl/core/….ts. */
async function codecOf(typeName: string): Promise<Codec> {
  const descriptor = messageDescriptor(typeName);
  const path = descriptor.file.name;
  const module = (await import(`../dist/gen/${path}.js`)) as Record<string, Codec>;
  const name = typeName.slice(descriptor.file.proto.package.length + 1).replaceAll('.', '_');
  return module[name]!;
}

/** Same message whatever the order of fields and map entries, unknown fields included. */
function sameMessage(typeName: string, a: Uint8Array, b: Uint8Array): boolean {
  if (Buffer.compare(a, b) === 0) return true; // also NaN, which isn't equal to itself
  const descriptor = messageDescriptor(typeName);
  return equals(descriptor, fromBinary(descriptor, a), fromBinary(descriptor, b), {
    registry: descriptorRegistry(),
    unpackAny: true,
    extensions: true,
    unknown: true,
  });
}

/**
 * Entities that ts-proto encodes to other bytes, though to the same message: protobuf leaves all of these open.
 * - `oneof`: it writes a oneof's member where the oneof's first field would stand, Python by field number.
 * - `keys`: JavaScript objects hold keys that look like integers first, so such a map changes its order.
 * - `defaults`: it leaves out an empty key or a default value of a map's entry, Python writes both.
 */
const otherBytes: Record<string, 'oneof' | 'keys' | 'defaults'> = {
  'launch-plan/cron': 'oneof',
  'literal/map': 'defaults',
  'literal/map/integer-like-keys': 'keys',
  'literal/generic': 'defaults',
  'literal/offloaded': 'keys',
  'event/node': 'oneof',
  'event/task': 'defaults',
  execution: 'oneof',
  'task-execution': 'defaults',
  'task/pod': 'oneof',
  'compiled/task': 'defaults',
};

test('there are golden entities of at least 60 kinds', () => {
  expect(golden.length).toBeGreaterThanOrEqual(60);
  expect(new Set(golden.map(({ name }) => name)).size).toBe(golden.length);
});

describe.each(golden.map((item) => [item.name, item] as const))('golden %s', (name, { type, bytes, json }) => {
  const original = Buffer.from(bytes, 'base64');

  test('decodes and encodes to the same message', async () => {
    const codec = await codecOf(type);
    const again = Buffer.from(codec.encode(codec.decode(original)).finish());
    expect(sameMessage(type, again, original)).toBe(true);
    expect([name, again.equals(original)]).toEqual([name, otherBytes[name] === undefined]);
  });

  test('maps to canonical JSON and back without loss', () => {
    expect(toJson(type, original)).toEqual(json);
    if (name === 'unknown-fields' || name === 'unknown-enum') return; // what has no name has no place in JSON
    expect(sameMessage(type, fromJson(type, toJson(type, original)), original)).toBe(true);
    expect(sameMessage(type, fromJson(type, json), original)).toBe(true);
  });
});

test('equals() tells messages apart, so that the tests above mean something', () => {
  const descriptor = messageDescriptor('flyteidl.core.Literal');
  const empty = toBinary(descriptor, create(descriptor));
  for (const { name, type, bytes } of golden)
    if (type === 'flyteidl.core.Literal' && name !== 'literal/empty')
      expect(sameMessage(type, empty, Buffer.from(bytes, 'base64'))).toBe(false);
});
