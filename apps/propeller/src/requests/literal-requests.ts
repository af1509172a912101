import { createHash } from 'node:crypto';
import type { LiteralSource, LoadLiterals, StoreLiterals } from '@aloft/engine';
import { AloftError } from '@aloft/errors';
import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import { Literal, type LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { acceptsNone, AttributePathError, literalOf, resolveAttributePath } from '@aloft/literals';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { LiteralStore } from '../commit/literal-store.js';
import { RequestFailed, systemFault, type Answer } from './answers.js';

const collectionField = 2;
const mapField = 3;
const bytesTag = (field: number): number => (field << 3) | 2;

/** Reads and writes literals that are too large to travel by value. */
export class LiteralRequests {
  constructor(private readonly literals: LiteralStore) {}

  async load({ uri, variables, lengthsOnly }: LoadLiterals): Promise<Answer> {
    const { literals } = await this.read(uri);
    const names = variables ?? Object.keys(literals);
    if (lengthsOnly) {
      const lengths: Record<string, number> = {};
      for (const name of names) {
        const value = literals[name]?.value;
        if (value?.$case === 'collection') lengths[name] = value.value.literals.length;
      }
      return { $case: 'loaded', value: { literals: undefined, lengths } };
    }
    const chosen = Object.fromEntries(names.flatMap((name) => (literals[name] ? [[name, literals[name]]] : [])));
    return { $case: 'loaded', value: { literals: { literals: chosen }, lengths: {} } };
  }

  /** The same request always writes the same bytes to the same place. */
  async store({ uri, variables }: StoreLiterals): Promise<Answer> {
    const maps = new StoredMaps((from) => this.read(from));
    const writer = new BinaryWriter();
    for (const name of Object.keys(variables).sort()) {
      const bytes = await encodeSource(variables[name]!, maps, name);
      if (bytes) writeEntry(writer, name, bytes);
    }
    const bytes = writer.finish();
    await this.literals.put(uri, bytes);
    const digest = createHash('sha256').update(bytes).digest();
    return { $case: 'stored', value: { stored: { uri, size: BigInt(bytes.length), digest } } };
  }

  private async read(uri: string): Promise<LiteralMap> {
    try {
      return await this.literals.read(uri);
    } catch (error) {
      if (error instanceof AloftError && (error.code === 'NOT_FOUND' || error.code === 'INVALID_ARGUMENT')) {
        throw systemFault('BindingResolutionFailure', error);
      }
      throw error;
    }
  }
}

/** Maps read for one request, each once. */
class StoredMaps {
  private readonly maps = new Map<string, Promise<LiteralMap>>();

  constructor(private readonly read: (uri: string) => Promise<LiteralMap>) {}

  get(uri: string): Promise<LiteralMap> {
    let map = this.maps.get(uri);
    if (!map) {
      map = this.read(uri);
      this.maps.set(uri, map);
    }
    return map;
  }
}

function writeEntry(writer: BinaryWriter, key: string, literal: Uint8Array): void {
  writer.uint32(bytesTag(1)).fork().uint32(bytesTag(1)).string(key).uint32(bytesTag(2)).bytes(literal).join();
}

/** An encoded Literal; parts that came encoded are never decoded. */
async function encodeSource(source: LiteralSource, maps: StoredMaps, variable: string): Promise<Uint8Array> {
  if ('literal' in source) return Literal.encode(source.literal).finish();
  if ('encoded' in source) return source.encoded;
  if ('uri' in source) return Literal.encode(partOf(await maps.get(source.uri), source, variable)).finish();
  const writer = new BinaryWriter();
  if ('collection' in source) {
    writer.uint32(bytesTag(collectionField)).fork();
    for (const item of source.collection) writer.uint32(bytesTag(1)).bytes(await encodeSource(item, maps, variable));
  } else {
    writer.uint32(bytesTag(mapField)).fork();
    for (const [key, item] of Object.entries(source.map)) {
      writeEntry(writer, key, await encodeSource(item, maps, variable));
    }
  }
  return writer.join().finish();
}

function partOf(
  map: LiteralMap,
  source: { uri: string; variable: string; path: (string | number)[]; type: LiteralType | undefined },
  variable: string,
): Literal {
  const literal = Object.hasOwn(map.literals, source.variable) ? map.literals[source.variable] : undefined;
  if (!literal) {
    if (source.type && acceptsNone(source.type)) return literalOf.none();
    throw new RequestFailed(
      'BindingResolutionFailure',
      ExecutionError_ErrorKind.SYSTEM,
      `input ${variable}: ${source.uri} has no variable "${source.variable}" ` +
        `(it has ${Object.keys(map.literals).join(', ') || 'none'})`,
    );
  }
  if (source.path.length === 0) return literal;
  try {
    return resolveAttributePath(literal, source.path, source.type);
  } catch (error) {
    if (!(error instanceof AttributePathError)) throw error;
    // C-103: what the path leads to is the author's business.
    throw new RequestFailed(
      'PromiseAttributeResolveError',
      ExecutionError_ErrorKind.USER,
      `input ${variable}: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}
