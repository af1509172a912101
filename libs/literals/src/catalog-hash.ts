import { invalidArgument } from '@aloft/errors';
import type { TypedInterface, VariableMap } from '@aloft/idl/flyteidl/core/interface';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { literalToJson, variableMapToJson } from './canonical-json.js';
import { objectHash } from './object-hash.js';
import type { Json } from './plain-json.js';

/**
 * Keys of the catalog, string for string those of Flyte (C-90), so that a catalog can be shared with it. The hash is
 * objecthash of the canonical JSON; the tests hold values made by Flyte's own Go code.
 */

const signatureLength = 8;

/** `flyte_task-<task name>` */
export const catalogDatasetName = (task: Pick<Identifier, 'name'>): string => `flyte_task-${task.name}`;

/**
 * `<cache version>-<8 characters of the input interface's hash>-<8 of the output interface's>`; interfaces hash with their
 * descriptions, as in Flyte.
 *
 * @throws AloftError INVALID_ARGUMENT when the cache version is empty or blank
 */
export function catalogDatasetVersion(signature: TypedInterface | undefined, cacheVersion: string): string {
  const version = cacheVersion.replace(/^ +| +$/g, '');
  if (version === '')
    throw invalidArgument('a cached task needs a cache version: metadata.discovery_version is empty or blank');
  return `${version}-${variablesHash(signature?.inputs)}-${variablesHash(signature?.outputs)}`;
}

/** Of interfaces in memory, which do not change: every item of an array and every attempt of a task asks for the same. */
const known = new WeakMap<VariableMap, string>();

const noVariables: VariableMap = { variables: {} };

function variablesHash(variables = noVariables): string {
  let hash = known.get(variables);
  if (hash === undefined) {
    hash = base64(objectHash(variableMapToJson(variables))).slice(0, signatureLength);
    known.set(variables, hash);
  }
  return hash;
}

/** `flyte_cached-<hash of the inputs without the ignored ones>`; a literal with a `hash` counts by that hash (C-91). */
export const catalogTag = (inputs: LiteralMap | undefined, ignored: readonly string[] = []): string =>
  `flyte_cached-${hashLiteralMap(inputs, ignored)}`;

/** Unpadded URL-safe base64 of the objecthash of the map. */
export function hashLiteralMap(map: LiteralMap | undefined, ignored: readonly string[] = []): string {
  const entries = Object.entries(map?.literals ?? {}).filter(([name]) => !ignored.includes(name));
  const literals = Object.fromEntries(entries.map(([name, literal]) => [name, hashedLiteral(literal)]));
  return base64(objectHash(entries.length === 0 ? {} : { literals }));
}

/** Replaces what has a hash of its own by that hash, at any depth of lists and maps. */
function hashedLiteral(literal: Literal): Json {
  if (literal.hash !== '') return { hash: literal.hash };
  switch (literal.value?.$case) {
    case 'collection': {
      const { literals } = literal.value.value;
      return { collection: literals.length === 0 ? {} : { literals: literals.map(hashedLiteral) } };
    }
    case 'map': {
      const entries = Object.entries(literal.value.value.literals);
      if (entries.length === 0) return { map: {} };
      return { map: { literals: Object.fromEntries(entries.map(([key, item]) => [key, hashedLiteral(item)])) } };
    }
    default:
      return literalToJson(literal);
  }
}

const base64 = (hash: Buffer): string => hash.toString('base64url');
