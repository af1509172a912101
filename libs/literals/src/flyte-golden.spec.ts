import { readFileSync } from 'node:fs';
import { TypedInterface } from '@aloft/idl/flyteidl/core/interface';
import { Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { LiteralType } from '@aloft/idl/flyteidl/core/types';
import {
  castable,
  catalogDatasetName,
  catalogDatasetVersion,
  catalogTag,
  literalToJson,
  literalTypeOf,
  renderTemplate,
  resolveAttributePath,
  typeKey,
  type Json,
  type TemplateValues,
} from './index.js';

/** What Flyte 1.16.5's own code answered for these inputs. Literals are those of flytekit in libs/idl/testdata, and some more. */
const read = <T>(path: string): T[] => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as T[];
const decode = <T>(codec: { decode(bytes: Uint8Array): T }, text: string): T =>
  codec.decode(Buffer.from(text, 'base64'));

const tags = read<{ name: string; map: string; ignored: string[]; tag: string }>('../testdata/flyte-tags.json');
test.each(tags.map((item) => [item.name, item] as const))('C-90: tag of %s', (_name, { map, ignored, tag }) => {
  expect(catalogTag(decode(LiteralMap, map), ignored)).toBe(tag);
});

const versions = read<{ name: string; interface: string; version: string }>('../testdata/flyte-versions.json');
test.each(versions.map((item) => [item.name, item] as const))('C-90: dataset version of %s', (_name, item) => {
  expect(catalogDatasetVersion(decode(TypedInterface, item.interface), ' 1.0 ')).toBe(item.version);
});

test("C-90: dataset name and version of Flyte's own unit tests; a blank cache version is refused", () => {
  expect(catalogDatasetName({ name: 'example.task' })).toBe('flyte_task-example.task');
  expect(catalogDatasetVersion(undefined, '1.0.0')).toBe('1.0.0-GKw-c0Pw-GKw-c0Pw');
  expect(() => catalogDatasetVersion(undefined, '  ')).toThrow(/discovery_version/);
});

const casts = read<{ from: string; to: string; castable: boolean }>('../testdata/flyte-casts.json');
test('C-111: 500 pairs of types are castable exactly where they are in Flyte', () => {
  const differing = casts.filter(
    ({ from, to, castable: expected }) => castable(decode(LiteralType, from), decode(LiteralType, to)) !== expected,
  );
  expect(casts).toHaveLength(500);
  expect(differing).toEqual([]);
});

const types = read<{ name: string; literal: string; type: string }>('../testdata/flyte-types.json');
test.each(types.map((item) => [item.name, item] as const))('C-111: type shown by %s', (_name, { literal, type }) => {
  const shown = literalTypeOf(decode(Literal, literal));
  expect(shown && typeKey(shown)).toEqual(type === '' ? undefined : typeKey(decode(LiteralType, type)));
});

const renders = read<{ name: string; literal: string; text: string }>('../testdata/flyte-renders.json');
test.each(renders.map((item) => [item.name, item] as const))('C-106: %s in a command', (_name, { literal, text }) => {
  const values = { inputs: { literals: { x: decode(Literal, literal) } } } as unknown as TemplateValues;
  expect(renderTemplate(['{{ .Inputs.x }}'], values)).toEqual([text]);
});

const literals = new Map(
  read<{ name: string; bytes: string }>('../../idl/testdata/golden.json').map(({ name, bytes }) => [name, bytes]),
);
const attributes = read<{ literal: string; path: (string | number)[]; result: Json }>(
  '../testdata/flyte-attributes.json',
);
test.each(attributes.map((item) => [item.literal, item.path.join('.'), item] as const))(
  'C-103: %s at %s',
  (name, _path, { path, result }) => {
    const literal = decode(Literal, literals.get(name)!);
    if (result === null) expect(() => resolveAttributePath(literal, path)).toThrow(/^attribute path /);
    else expect(literalToJson(resolveAttributePath(literal, path))).toEqual(result);
  },
);
