import { invalidArgument } from '@aloft/errors';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { BlobType_BlobDimensionality, SimpleType, type LiteralType } from '@aloft/idl/flyteidl/core/types';
import { castable, explainMismatch } from './casting.js';
import { formatLiteral } from './literal-format.js';
import { literalOf, scalarOf } from './literal-of.js';
import { literalTypeOf } from './literal-type.js';
import { formatType } from './type-format.js';

/** Whether a literal may be given where `type` is expected. */
export const literalMatchesType = (literal: Literal, type: LiteralType): boolean =>
  explainLiteralMismatch(literal, type) === undefined;

/**
 * Why a literal may not be given where `type` is expected; undefined when it may. Its own type must be castable (C-111), and
 * what is given for an enum must be one of its values.
 */
export function explainLiteralMismatch(literal: Literal, type: LiteralType): string | undefined {
  const own = literalTypeOf(literal);
  if (own === undefined) return 'the value is empty or of a kind that is not known';
  return explainMismatch(own, type) ?? explainIllegalEnum(literal, type);
}

function explainIllegalEnum(literal: Literal, type: LiteralType): string | undefined {
  const expected = type.type;
  const value = literal.value;
  switch (expected?.$case) {
    case 'enumType': {
      const primitive = value?.$case === 'scalar' ? value.value.value : undefined;
      const text =
        primitive?.$case === 'primitive' && primitive.value.value?.$case === 'stringValue'
          ? primitive.value.value.value
          : undefined;
      return text === undefined || expected.value.values.includes(text)
        ? undefined
        : `'${text}' is none of ${expected.value.values.map((item) => `'${item}'`).join(', ')}`;
    }
    case 'collectionType':
      if (value?.$case !== 'collection' || !mayHoldEnum(expected.value)) return undefined;
      return firstProblem(value.value.literals, (item) => explainIllegalEnum(item, expected.value));
    case 'mapValueType':
      if (value?.$case !== 'map' || !mayHoldEnum(expected.value)) return undefined;
      return firstProblem(Object.values(value.value.literals), (item) => explainIllegalEnum(item, expected.value));
    case 'unionType': {
      const scalar = scalarOf(literal);
      const inner = scalar?.$case === 'union' ? (scalar.value.value ?? literal) : literal;
      const own = scalar?.$case === 'union' ? scalar.value.type : literalTypeOf(inner);
      const variants = expected.value.variants.filter((variant) => castable(own, variant));
      const problems = variants.map((variant) => explainIllegalEnum(inner, variant));
      return problems.includes(undefined) ? undefined : problems[0];
    }
    default:
      return undefined;
  }
}

function mayHoldEnum({ type }: LiteralType): boolean {
  switch (type?.$case) {
    case 'enumType':
      return true;
    case 'collectionType':
    case 'mapValueType':
      return mayHoldEnum(type.value);
    case 'unionType':
      return type.value.variants.some(mayHoldEnum);
    default:
      return false;
  }
}

function firstProblem<T>(items: T[], check: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const problem = check(item);
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
    const own = literalTypeOf(literal);
    const fitting = own === undefined ? [] : expected.value.variants.filter((variant) => castable(own, variant));
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
