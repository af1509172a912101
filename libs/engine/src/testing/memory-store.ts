import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { RequestAnswered } from '@aloft/idl/aloft/v1/engine';
import type { LiteralSource, Request } from '../api.js';
import { resolveAttributePath } from '@aloft/literals';
import { acceptsNone, none } from '../data/values.js';

type Literals = Record<string, Literal>;

/** Stored literals, and the answers to requests to store and load them, as the propeller's shell gives them. */
export class MemoryStore {
  readonly files = new Map<string, Literals>();
  readonly offloaded = new Map<string, Literal>();

  answer(ask: Request['ask']): NonNullable<RequestAnswered['answer']> | undefined {
    if (ask.kind === 'store') {
      const literals: Literals = {};
      for (const [name, source] of Object.entries(ask.variables)) literals[name] = this.resolve(source);
      return { $case: 'stored', value: { stored: this.write(ask.uri, literals) } };
    }
    if (ask.kind !== 'load') return undefined;
    const literals = this.files.get(ask.uri) ?? {};
    if (!ask.lengthsOnly) return { $case: 'loaded', value: { literals: { literals }, lengths: {} } };
    const lengths: Record<string, number> = {};
    for (const [name, found] of Object.entries(literals)) {
      const literal = found.value?.$case === 'offloadedMetadata' ? this.offloaded.get(found.value.value.uri)! : found;
      if (literal.value?.$case === 'collection') lengths[name] = literal.value.value.literals.length;
    }
    return { $case: 'loaded', value: { literals: undefined, lengths } };
  }

  write(uri: string, literals: Literals) {
    this.files.set(uri, literals);
    return { uri, size: 0n, digest: Buffer.alloc(0) };
  }

  stored(uri: string, literals: Literals): LiteralsValue {
    return { value: { $case: 'stored', value: this.write(uri, literals) } };
  }

  read(value: LiteralsValue): Literals | undefined {
    return value.value?.$case === 'stored' ? this.files.get(value.value.value.uri) : value.value?.value.literals;
  }

  private resolve(source: LiteralSource): Literal {
    if ('literal' in source) return source.literal;
    if ('encoded' in source) return Literal.decode(source.encoded);
    if ('collection' in source) {
      const literals = source.collection.map((each) => this.resolve(each));
      return Literal.create({ value: { $case: 'collection', value: { literals } } });
    }
    if ('map' in source) {
      const entries = Object.entries(source.map).map(([key, each]) => [key, this.resolve(each)]);
      return Literal.create({ value: { $case: 'map', value: { literals: Object.fromEntries(entries) } } });
    }
    if ('offloaded' in source) {
      const whole = this.offloaded.get(source.offloaded);
      if (!whole) throw new Error(`testing: nothing was offloaded to ${source.offloaded}`);
      return resolveAttributePath(whole, source.path, source.type);
    }
    const found = this.files.get(source.uri)?.[source.variable];
    if (found?.value?.$case === 'offloadedMetadata' && source.path.length > 0) {
      return resolveAttributePath(this.offloaded.get(found.value.value.uri)!, source.path, source.type);
    }
    if (found) return resolveAttributePath(found, source.path, source.type);
    if (acceptsNone(source.type)) return none;
    throw new Error(`testing: no variable ${source.variable} in ${source.uri}`);
  }
}
