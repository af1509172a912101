import type { BlobStore } from '@aloft/blob';
import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { BinaryReader, WireType } from '@aloft/idl/wire';

/** Bytes of inputs kept in memory. */
const keptBytes = 64 * 1024 * 1024;
const maxBytes = 256 * 1024 * 1024;

/** The inputs of a launch, wherever they are. */
export interface InputValues {
  readonly names: string[];
  get(name: string): Literal | undefined;
  /** An element of a list; `undefined` if the input is no list, or shorter. */
  element(name: string, index: number): Literal | undefined;
  isList(name: string): boolean;
}

/** Inputs by value. */
export function givenInputs(literals: Record<string, Literal>): InputValues {
  const listOf = (name: string) => {
    const value = literals[name]?.value;
    return value?.$case === 'collection' ? value.value.literals : undefined;
  };
  return {
    names: Object.keys(literals).sort(),
    get: (name) => literals[name],
    element: (name, index) => listOf(name)?.[index],
    isList: (name) => listOf(name) !== undefined,
  };
}

/**
 * Stored inputs of tasks that need no process, as they are encoded: the million items of an array have the same, and each
 * decodes one element of it.
 */
export class StoredInputs {
  /** Least recently used first. */
  private readonly kept = new Map<string, EncodedInputs>();
  private readonly loading = new Map<string, Promise<EncodedInputs>>();
  private bytes = 0;

  peek(uri: string): InputValues | undefined {
    const found = this.kept.get(uri);
    if (!found) return undefined;
    this.kept.delete(uri);
    this.kept.set(uri, found);
    return found;
  }

  /** Reads them unless they are here, or on their way. */
  async load(uri: string, blob: BlobStore): Promise<InputValues> {
    const here = this.peek(uri);
    if (here) return here;
    const running = this.loading.get(uri);
    if (running) return running;
    const loading = blob.get(uri, { maxBytes }).then((bytes) => this.keep(uri, new EncodedInputs(bytes)));
    this.loading.set(uri, loading);
    return loading.finally(() => this.loading.delete(uri));
  }

  private keep(uri: string, inputs: EncodedInputs): EncodedInputs {
    this.kept.set(uri, inputs);
    this.bytes += inputs.size;
    for (const [oldest, { size }] of this.kept) {
      if (this.bytes <= keptBytes || oldest === uri) break;
      this.kept.delete(oldest);
      this.bytes -= size;
    }
    return inputs;
  }
}

interface Range {
  start: number;
  end: number;
}

/** A LiteralMap as it is encoded. Field numbers are those of flyteidl/core/literals.proto. */
class EncodedInputs implements InputValues {
  private readonly literals = new Map<string, Range>();
  /** Ends of the elements of lists that were asked for; with where each begins. */
  private readonly lists = new Map<string, { starts: Uint32Array; ends: Uint32Array } | undefined>();

  constructor(private readonly bytes: Uint8Array) {
    for (const entry of this.fields({ start: 0, end: bytes.length }, 1)) {
      const [key] = this.fields(entry, 1);
      const [value] = this.fields(entry, 2);
      const name = key ? new TextDecoder().decode(bytes.subarray(key.start, key.end)) : '';
      this.literals.set(name, value ?? { start: entry.end, end: entry.end });
    }
  }

  get size(): number {
    return this.bytes.length;
  }

  get names(): string[] {
    return [...this.literals.keys()].sort();
  }

  get(name: string): Literal | undefined {
    return this.decode(this.literals.get(name));
  }

  element(name: string, index: number): Literal | undefined {
    const list = this.listOf(name);
    if (!list || index >= list.starts.length) return undefined;
    return this.decode({ start: list.starts[index]!, end: list.ends[index]! });
  }

  isList(name: string): boolean {
    return this.listOf(name) !== undefined;
  }

  private listOf(name: string): { starts: Uint32Array; ends: Uint32Array } | undefined {
    if (this.lists.has(name)) return this.lists.get(name);
    const literal = this.literals.get(name);
    const [collection] = literal ? this.fields(literal, 2) : [];
    const elements = collection && [...this.fields(collection, 1)];
    const list = elements && {
      starts: Uint32Array.from(elements, ({ start }) => start),
      ends: Uint32Array.from(elements, ({ end }) => end),
    };
    this.lists.set(name, list);
    return list;
  }

  private decode(range: Range | undefined): Literal | undefined {
    return range && Literal.decode(this.bytes.subarray(range.start, range.end));
  }

  /** Where the values of a length-delimited field lie. */
  private *fields({ start, end }: Range, field: number): Generator<Range> {
    const reader = new BinaryReader(this.bytes.subarray(start, end));
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (number !== field || wireType !== WireType.LengthDelimited) reader.skip(wireType, number);
      else {
        const length = reader.uint32();
        yield { start: start + reader.pos, end: start + reader.pos + length };
        reader.pos += length;
      }
    }
  }
}
