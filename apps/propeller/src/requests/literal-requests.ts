import { createHash } from 'node:crypto';
import type { LiteralSource, LoadLiterals, StoreLiterals } from '@aloft/engine';
import { AloftError } from '@aloft/errors';
import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import { Literal, type LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { acceptsNone, AttributePathError, literalOf, resolveAttributePath } from '@aloft/literals';
import { BinaryWriter } from '@aloft/idl/wire';
import type { LiteralStore } from '../commit/literal-store.js';
import { RequestFailed, systemFault, type Answer } from './answers.js';

const collectionField = 2;
const mapField = 3;
const bytesTag = (field: number): number => (field << 3) | 2;

/** In bytes. */
export interface OffloadLimits {
  min: number;
  max: number;
}

/** Reads and writes literals that are too large to travel by value. */
export class LiteralRequests {
  constructor(
    private readonly literals: LiteralStore,
    /** C-105: outputs of so many bytes are stored apart; off when absent. */
    private readonly offload?: OffloadLimits,
  ) {}

  async load({ uri, variables, lengthsOnly }: LoadLiterals): Promise<Answer> {
    const { literals } = await this.read(uri);
    const names = variables ?? Object.keys(literals);
    if (lengthsOnly) {
      const lengths: Record<string, number> = {};
      for (const name of names) {
        const found = literals[name];
        const value = found && (await this.whole(found)).value;
        if (value?.$case === 'collection') lengths[name] = value.value.literals.length;
      }
      return { $case: 'loaded', value: { literals: undefined, lengths } };
    }
    const chosen = Object.fromEntries(names.flatMap((name) => (literals[name] ? [[name, literals[name]]] : [])));
    return { $case: 'loaded', value: { literals: { literals: chosen }, lengths: {} } };
  }

  /** The same request always writes the same bytes to the same place. */
  async store({ uri, variables, offload = {} }: StoreLiterals): Promise<Answer> {
    const maps = new StoredLiterals(
      (from) => this.read(from),
      (from) => this.readOffloaded(from),
    );
    const writer = new BinaryWriter();
    for (const name of Object.keys(variables).sort()) {
      const bytes = await encodeSource(variables[name]!, maps, name);
      const type = offload[name];
      writeEntry(writer, name, type ? await this.offloaded(bytes, uri, name, type) : bytes);
    }
    const bytes = writer.finish();
    await this.literals.put(uri, bytes);
    const digest = createHash('sha256').update(bytes).digest();
    return { $case: 'stored', value: { stored: { uri, size: BigInt(bytes.length), digest } } };
  }

  /** C-105: the literal itself, or one that says where it lies, how large it is and what type it has. */
  private async offloaded(bytes: Uint8Array, mapUri: string, name: string, type: LiteralType): Promise<Uint8Array> {
    if (!this.offload || bytes.length < this.offload.min) return bytes;
    if (bytes.length > this.offload.max) {
      throw new RequestFailed(
        'LiteralTooLarge',
        ExecutionError_ErrorKind.USER,
        `output ${name} has ${bytes.length} bytes; at most ${this.offload.max} are allowed`,
      );
    }
    const uri = `${mapUri.slice(0, mapUri.lastIndexOf('/'))}/${name}_offloaded_metadata.pb`;
    await this.literals.put(uri, bytes);
    const value = { uri, sizeBytes: BigInt(bytes.length), inferredType: type };
    // Where it lies differs from run to run: caches go by what it is (C-91).
    const hash = createHash('sha256').update(bytes).digest('base64url');
    return Literal.encode({ value: { $case: 'offloadedMetadata', value }, hash, metadata: {} }).finish();
  }

  private async whole(literal: Literal): Promise<Literal> {
    return literal.value?.$case === 'offloadedMetadata' ? this.readOffloaded(literal.value.value.uri) : literal;
  }

  private read(uri: string): Promise<LiteralMap> {
    return this.reading(() => this.literals.read(uri));
  }

  private readOffloaded(uri: string): Promise<Literal> {
    return this.reading(() => this.literals.readOffloaded(uri));
  }

  private async reading<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (error instanceof AloftError && (error.code === 'NOT_FOUND' || error.code === 'INVALID_ARGUMENT')) {
        throw systemFault('BindingResolutionFailure', error);
      }
      throw error;
    }
  }
}

/** Maps and offloaded literals read for one request, each once. */
class StoredLiterals {
  private readonly maps = new Map<string, Promise<LiteralMap>>();
  private readonly offloaded = new Map<string, Promise<Literal>>();

  constructor(
    private readonly read: (uri: string) => Promise<LiteralMap>,
    private readonly readOffloaded: (uri: string) => Promise<Literal>,
  ) {}

  /** What an offloaded literal stands for; others are themselves. */
  whole(literal: Literal): Promise<Literal> {
    const value = literal.value?.$case === 'offloadedMetadata' ? literal.value.value : undefined;
    return value ? this.at(value.uri) : Promise.resolve(literal);
  }

  at(uri: string): Promise<Literal> {
    let literal = this.offloaded.get(uri);
    if (!literal) {
      literal = this.readOffloaded(uri);
      this.offloaded.set(uri, literal);
    }
    return literal;
  }

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
async function encodeSource(source: LiteralSource, maps: StoredLiterals, variable: string): Promise<Uint8Array> {
  if ('literal' in source) return Literal.encode(source.literal).finish();
  if ('encoded' in source) return source.encoded;
  if ('uri' in source) return Literal.encode(await partOf(await maps.get(source.uri), source, variable, maps)).finish();
  if ('offloaded' in source) {
    return Literal.encode(follow(await maps.at(source.offloaded), source, variable)).finish();
  }
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

async function partOf(
  map: LiteralMap,
  source: { uri: string; variable: string; path: (string | number)[]; type: LiteralType | undefined },
  variable: string,
  maps: StoredLiterals,
): Promise<Literal> {
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
  return follow(await maps.whole(literal), source, variable);
}

function follow(
  literal: Literal,
  source: { path: (string | number)[]; type: LiteralType | undefined },
  variable: string,
): Literal {
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
