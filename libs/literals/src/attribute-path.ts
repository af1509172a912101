import { AloftError } from '@aloft/errors';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { SimpleType, type LiteralType, type PromiseAttribute } from '@aloft/idl/flyteidl/core/types';
import { formatLiteral } from './literal-format.js';
import { literalOf, msgpackTag } from './literal-of.js';
import { msgpackPart, type MsgpackPart, type MsgpackValue } from './msgpack.js';
import { simpleOf } from './type-of.js';

/** A key of a map or dataclass, or an index of a list. */
export type PathStep = string | number;

/** A path leads nowhere: names the step, where it is in the path, and what is there instead (C-103). */
export class AttributePathError extends AloftError {
  constructor(
    readonly path: readonly PathStep[],
    /** Index of the step that failed. */
    readonly step: number,
    problem: string,
  ) {
    super('INVALID_ARGUMENT', `attribute path ${formatPath(path)}: ${problem}`);
    this.name = 'AttributePathError';
  }
}

export const stepsOf = (path: readonly PromiseAttribute[]): PathStep[] => path.map(({ value }) => value?.value ?? '');

/** `.model["learning rate"][0]` */
export const formatPath = (path: readonly PathStep[]): string =>
  path
    .map((step) =>
      typeof step === 'number' ? `[${step}]` : /^[A-Za-z_]\w*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`,
    )
    .join('') || '(empty)';

/**
 * Follows keys and indexes into a literal: through maps, lists, unions, protobuf Structs and msgpack binaries. What comes out of a
 * Struct or a msgpack value becomes a literal as in Flyte: primitives become primitives, a Struct's lists become lists, a
 * msgpack list becomes a list of msgpack binaries, anything else stays what it was in. With `type`, the result is cast:
 * a Struct's number, always a double there, to an integer where one is expected, an integer to a float, nil to None.
 *
 * @throws AttributePathError
 */
export function resolveAttributePath(literal: Literal, path: readonly PathStep[], type?: LiteralType): Literal {
  let current = literal;
  for (let index = 0; index < path.length; index++) {
    const step = path[index]!;
    const fail = (problem: string): never => {
      throw new AttributePathError(path, index, problem);
    };
    current = unwrapUnion(current);
    const { value } = current;
    if (value?.$case === 'map') {
      const { literals } = value.value;
      const key = String(step);
      if (!Object.hasOwn(literals, key)) fail(missingKey(key, Object.keys(literals)));
      current = literals[key]!;
    } else if (value?.$case === 'collection') {
      const { literals } = value.value;
      current = literals[checkIndex(step, literals.length, fail)]!;
    } else if (value?.$case === 'scalar') {
      const scalar = value.value.value;
      if (scalar?.$case === 'generic')
        return castResult(fromStruct(walkStruct(scalar.value ?? {}, path, index), path), type);
      if (scalar?.$case === 'binary') {
        if (scalar.value.tag !== msgpackTag)
          fail(`a binary with tag '${scalar.value.tag}' can't be looked into; only '${msgpackTag}' can`);
        return castResult(fromMsgpack(walkMsgpack(scalar.value.value, path, index), path), type);
      }
      return fail(`${formatLiteral(current)} has no parts`);
    } else {
      fail(
        value?.$case === 'offloadedMetadata'
          ? `the value lies at ${value.value.uri} and has to be read first`
          : 'the value is empty',
      );
    }
  }
  // A path that ends at a msgpack value as a whole (an item of a list of them) opens it like one that ends within.
  const last = current.value?.$case === 'scalar' ? current.value.value.value : undefined;
  if (path.length > 0 && last?.$case === 'binary' && last.value.tag === msgpackTag)
    current = fromMsgpack(msgpackPart(last.value.value), path);
  return castResult(current, type);
}

function unwrapUnion(literal: Literal): Literal {
  let inner = literal;
  while (
    inner.value?.$case === 'scalar' &&
    inner.value.value.value?.$case === 'union' &&
    inner.value.value.value.value.value
  )
    inner = inner.value.value.value.value.value;
  return inner;
}

function walkStruct(struct: unknown, path: readonly PathStep[], from: number): unknown {
  let current = struct;
  for (let index = from; index < path.length; index++) {
    const step = path[index]!;
    const fail = (problem: string): never => {
      throw new AttributePathError(path, index, problem);
    };
    if (Array.isArray(current)) {
      current = current[checkIndex(step, current.length, fail)];
    } else if (typeof current === 'object' && current !== null) {
      const key = String(step);
      if (!Object.hasOwn(current, key)) fail(missingKey(key, Object.keys(current)));
      current = (current as Record<string, unknown>)[key];
    } else {
      fail(`${JSON.stringify(current)} has no parts`);
    }
  }
  return current;
}

function fromStruct(value: unknown, path: readonly PathStep[]): Literal {
  if (value === null || value === undefined) return literalOf.none();
  switch (typeof value) {
    case 'string':
      return literalOf.string(value);
    case 'number':
      return literalOf.float(value);
    case 'boolean':
      return literalOf.boolean(value);
    case 'object':
      if (Array.isArray(value)) return literalOf.collection(value.map((item) => fromStruct(item, path)));
      return literalOf.struct(value as Record<string, unknown>);
    default:
      throw new AttributePathError(path, path.length - 1, `a ${typeof value} can't be a literal`);
  }
}

function walkMsgpack(bytes: Uint8Array, path: readonly PathStep[], from: number): MsgpackPart {
  let current = msgpackPart(bytes);
  for (let index = from; index < path.length; index++) {
    const step = path[index]!;
    const fail = (problem: string): never => {
      throw new AttributePathError(path, index, problem);
    };
    const value = current.read();
    if (value.kind === 'list') {
      current = value.items[checkIndex(step, value.items.length, fail)]!;
    } else if (value.kind === 'map') {
      const found = value.entries.find(({ key }) => isKey(key, step));
      current =
        found?.value ??
        fail(
          missingKey(
            String(step),
            value.entries.map(({ key }) => keyText(key)),
          ),
        );
    } else {
      fail(`a msgpack ${value.kind} has no parts`);
    }
  }
  return current;
}

/** An index also finds an integer key: `Dict[int, …]` in a dataclass. */
const isKey = (key: MsgpackValue, step: PathStep): boolean =>
  typeof step === 'string'
    ? key.kind === 'string' && key.value === step
    : key.kind === 'integer' && key.value === BigInt(step);

const keyText = (key: MsgpackValue): string =>
  key.kind === 'string' || key.kind === 'integer' || key.kind === 'float' || key.kind === 'boolean'
    ? String(key.value)
    : key.kind;

function fromMsgpack(part: MsgpackPart, path: readonly PathStep[]): Literal {
  const value = part.read();
  switch (value.kind) {
    case 'string':
      return literalOf.string(value.value);
    case 'integer':
      if (value.value > 9223372036854775807n)
        throw new AttributePathError(path, path.length - 1, `${value.value} is larger than an integer can be`);
      return literalOf.integer(value.value);
    case 'float':
      return literalOf.float(value.value);
    case 'boolean':
      return literalOf.boolean(value.value);
    case 'list':
      return literalOf.collection(value.items.map(({ bytes }) => literalOf.msgpack(bytes)));
    default:
      return literalOf.msgpack(part.bytes);
  }
}

/** To the type of the input that the value is for, where the way it was stored had lost that type. */
function castResult(literal: Literal, type: LiteralType | undefined): Literal {
  if (type === undefined || literal.value?.$case !== 'scalar') return literal;
  const scalar = literal.value.value.value;
  const primitive = scalar?.$case === 'primitive' ? scalar.value.value : undefined;
  const expected = simpleOf(type);
  if (primitive?.$case === 'floatValue' && expected === SimpleType.INTEGER && Number.isInteger(primitive.value))
    return literalOf.integer(BigInt(primitive.value));
  if (primitive?.$case === 'integer' && expected === SimpleType.FLOAT) return literalOf.float(Number(primitive.value));
  const isNil =
    scalar?.$case === 'binary' &&
    scalar.value.tag === msgpackTag &&
    scalar.value.value.length === 1 &&
    scalar.value.value[0] === 0xc0;
  if (isNil && expected !== SimpleType.STRUCT && expected !== SimpleType.BINARY) return literalOf.none();
  return literal;
}

function checkIndex(step: PathStep, length: number, fail: (problem: string) => never): number {
  if (typeof step !== 'number') return fail(`'${step}' is a key, but there is a list of ${length}; give an index`);
  if (step < 0 || step >= length) return fail(`index ${step} is out of range: the list has ${length} items`);
  return step;
}

const shownKeys = 10;

function missingKey(key: string, keys: string[]): string {
  const shown = keys.slice(0, shownKeys).map((name) => `'${name}'`);
  const more = keys.length > shownKeys ? `, … ${keys.length - shownKeys} more` : '';
  return `there is no key '${key}' (keys: ${shown.length === 0 ? 'none' : shown.join(', ') + more})`;
}
