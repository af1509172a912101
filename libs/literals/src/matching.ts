import { invalidArgument } from '@aloft/errors';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { BlobType_BlobDimensionality, SimpleType, type LiteralType } from '@aloft/idl/flyteidl/core/types';
import { castable, explainMismatch } from './casting.js';
import { formatLiteral } from './literal-format.js';
import { literalOf, primitiveOf, scalarOf } from './literal-of.js';
import { literalTypeOf } from './literal-type.js';
import { formatType } from './type-format.js';
import { isNoneType } from './type-of.js';

/** Whether a literal may be given where `type` is expected. */
export const literalMatchesType = (literal: Literal, type: LiteralType): boolean =>
  explainLiteralMismatch(literal, type) === undefined;

/**
 * Why a literal may not be given where `type` is expected; undefined when it may. Lists and maps are judged item by item, so that
 * `[{}, {"a": 1}]` is a `list<map<string, integer>>` (its inferred type, a list of a union, would not be castable); everything
 * else by the type that it shows (C-111). What is given for an enum must be one of its values.
 */
export function explainLiteralMismatch(literal: Literal, type: LiteralType): string | undefined {
  const expected = type.type;
  const value = literal.value;
  if (expected?.$case === 'collectionType' && value?.$case === 'collection')
    return firstProblem(value.value.literals, (item, index) =>
      inside(`item ${index}`, explainLiteralMismatch(item, expected.value)),
    );
  if (expected?.$case === 'mapValueType' && value?.$case === 'map')
    return firstProblem(Object.entries(value.value.literals), ([key, item]) =>
      inside(`key '${key}'`, explainLiteralMismatch(item, expected.value)),
    );
  if (expected?.$case === 'unionType') return explainForUnion(literal, type, expected.value.variants);
  const own = literalTypeOf(literal);
  if (own === undefined) return 'the value is empty or of a kind that is not known';
  const problem = explainMismatch(own, type);
  if (problem !== undefined || expected?.$case !== 'enumType') return problem;
  const primitive = primitiveOf(literal);
  return primitive?.$case !== 'stringValue' || expected.value.values.includes(primitive.value)
    ? undefined
    : `'${primitive.value}' is none of ${expected.value.values.map((item) => `'${item}'`).join(', ')}`;
}

/** A union's value fits the variants that its own variant is castable to; a bare value has to fit exactly one. */
function explainForUnion(literal: Literal, type: LiteralType, variants: LiteralType[]): string | undefined {
  const scalar = scalarOf(literal);
  if (scalar?.$case === 'union') {
    const { value, type: variant } = scalar.value;
    if (value === undefined || variant === undefined) return 'the union holds no value, or not the variant it is of';
    if (variant.type?.$case === 'unionType')
      return explainMismatch(variant, type) ?? explainLiteralMismatch(value, variant);
    const fitting = variants.filter((wanted) => castable(variant, wanted));
    if (fitting.length === 0) return `${formatType(variant)} fits no variant of ${formatType(type)}`;
    const problems = fitting.map((wanted) => explainLiteralMismatch(value, wanted));
    return problems.includes(undefined) ? undefined : problems[0];
  }
  const fitting = fittingVariants(literal, variants);
  if (fitting.length === 1) return undefined;
  if (fitting.length > 1) return `it is ambiguous: it fits ${fitting.map(formatType).join(' and ')}`;
  return variants.length === 1
    ? explainLiteralMismatch(literal, variants[0]!)
    : `it fits no variant of ${formatType(type)}`;
}

/** None is for the None variant if there is one, though a dataset may be None as well. */
function fittingVariants(literal: Literal, variants: LiteralType[]): LiteralType[] {
  const fitting = variants.filter((variant) => literalMatchesType(literal, variant));
  const none = fitting.filter(isNoneType);
  return none.length === 1 ? none : fitting;
}

const inside = (place: string, problem: string | undefined): string | undefined =>
  problem === undefined ? undefined : `${place}: ${problem}`;

function firstProblem<T>(items: T[], check: (item: T, index: number) => string | undefined): string | undefined {
  for (const [index, item] of items.entries()) {
    const problem = check(item, index);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/**
 * Refuses a value that a user gave for a variable if it doesn't fit its type (K-11, K-17).
 *
 * @param what how to call the variable, e.g. `input 'x'`
 * @throws AloftError INVALID_ARGUMENT naming the variable, the value and what would be right
 */
export function checkLiteral(what: string, literal: Literal, type: LiteralType | undefined): void {
  if (type === undefined) throw invalidArgument(`${what} is declared without a type`);
  const problem = explainLiteralMismatch(literal, type);
  if (problem === undefined) return;
  throw invalidArgument(
    `${what} has the wrong type: ${formatLiteral(literal)} (${formatType(literalTypeOf(literal))}) was given, ` +
      `${formatType(type)} is expected (${exampleOf(type)}): ${problem}`,
  );
}

function exampleOf({ type }: LiteralType): string {
  switch (type?.$case) {
    case 'simple':
      return examples[type.value] ?? 'see its declaration';
    case 'collectionType':
      return `a list whose items are like: ${exampleOf(type.value)}`;
    case 'mapValueType':
      return `a map of strings to values like: ${exampleOf(type.value)}`;
    case 'enumType':
      return `one of ${type.value.values.map((value) => `"${value}"`).join(', ')}`;
    case 'unionType':
      return `one of its variants: ${type.value.variants.map(exampleOf).join('; ')}`;
    case 'blob':
      return type.value.dimensionality === BlobType_BlobDimensionality.MULTIPART
        ? 'a directory, e.g. s3://bucket/folder'
        : 'a file, e.g. s3://bucket/file.csv';
    case 'schema':
    case 'structuredDatasetType':
      return 'a dataset, e.g. s3://bucket/folder';
    case undefined:
      return 'see its declaration';
  }
}

const examples: Partial<Record<SimpleType, string>> = {
  [SimpleType.NONE]: 'none',
  [SimpleType.INTEGER]: 'e.g. 42',
  [SimpleType.FLOAT]: 'e.g. 1.5',
  [SimpleType.STRING]: 'e.g. "text"',
  [SimpleType.BOOLEAN]: 'true or false',
  [SimpleType.DATETIME]: 'e.g. 2026-11-23T08:30:00Z',
  [SimpleType.DURATION]: 'e.g. 90s',
  [SimpleType.BINARY]: 'bytes',
  [SimpleType.STRUCT]: 'e.g. {"key": "value"}',
};

/**
 * A literal in the shape that its variable declares: a bare value for a union becomes that union's value (with the variant it
 * fits), at any depth of lists and maps. SDKs read both; consumers that look at the wire see one. What fits no
 * variant, or several, stays as it is: it was for the compiler to refuse.
 */
export function promoteLiteral(literal: Literal, type: LiteralType): Literal {
  const expected = type.type;
  const value = literal.value;
  if (expected?.$case === 'unionType') {
    if (scalarOf(literal)?.$case === 'union' || value?.$case === 'offloadedMetadata') return literal;
    const fitting = fittingVariants(literal, expected.value.variants);
    const variant = fitting.length === 1 ? fitting[0]! : undefined;
    return variant === undefined ? literal : literalOf.union(promoteLiteral(literal, variant), variant);
  }
  if (expected?.$case === 'collectionType' && value?.$case === 'collection' && mayHoldUnion(expected.value)) {
    const literals = value.value.literals.map((item) => promoteLiteral(item, expected.value));
    return { ...literal, value: { $case: 'collection', value: { ...value.value, literals } } };
  }
  if (expected?.$case === 'mapValueType' && value?.$case === 'map' && mayHoldUnion(expected.value)) {
    const entries = Object.entries(value.value.literals);
    const literals = Object.fromEntries(entries.map(([key, item]) => [key, promoteLiteral(item, expected.value)]));
    return { ...literal, value: { $case: 'map', value: { ...value.value, literals } } };
  }
  return literal;
}

function mayHoldUnion({ type }: LiteralType): boolean {
  if (type?.$case === 'unionType') return true;
  return type?.$case === 'collectionType' || type?.$case === 'mapValueType' ? mayHoldUnion(type.value) : false;
}
