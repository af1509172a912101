import fc from 'fast-check';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { BlobType_BlobDimensionality, SimpleType, type LiteralType } from '@aloft/idl/flyteidl/core/types';
import {
  acceptsNone,
  castable,
  explainMismatch,
  formatLiteral,
  formatType,
  isNoneType,
  literalMatchesType,
  literalOf,
  literalTypeOf,
  promoteLiteral,
  typeOf,
} from './index.js';

// Every run takes new cases; ALOFT_SEED repeats one.
const seed = Number(process.env.ALOFT_SEED ?? Math.floor(Math.random() * 2 ** 31));
beforeAll(() => console.log(`fast-check seed ${seed} (ALOFT_SEED repeats it)`));
const options = { seed, numRuns: 100 };

const simples = [
  SimpleType.INTEGER,
  SimpleType.FLOAT,
  SimpleType.STRING,
  SimpleType.BOOLEAN,
  SimpleType.DATETIME,
  SimpleType.DURATION,
  SimpleType.BINARY,
  SimpleType.ERROR,
];
const leaf: fc.Arbitrary<LiteralType> = fc.oneof(
  fc.constantFrom(...simples).map((simple) => typeOf.simple(simple)),
  fc.constant(typeOf.struct()),
  fc.constant(typeOf.enum('red', 'green')),
  fc.constantFrom('', 'csv', 'txt').map((format) => typeOf.blob(format, BlobType_BlobDimensionality.SINGLE)),
  fc.constant(typeOf.schema([{ name: 'a', type: 0 }])),
  fc.constant(typeOf.structuredDataset([{ name: 'a', literalType: typeOf.integer() }], 'parquet')),
);
/** Types without unions: a union's variants may be ambiguous among themselves. */
const plain = fc.letrec<{ type: LiteralType }>((tie) => ({
  type: fc.oneof({ maxDepth: 3 }, leaf, tie('type').map(typeOf.collection), tie('type').map(typeOf.map)),
})).type;

const seconds = fc.bigInt({ min: -62135596800n, max: 253402300799n });
const nanos = fc.integer({ min: 0, max: 999_999_999 });

/** Literals of a type. */
function valueOf(type: LiteralType): fc.Arbitrary<Literal> {
  const body = type.type!;
  switch (body.$case) {
    case 'simple':
      switch (body.value) {
        case SimpleType.INTEGER:
          return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(literalOf.integer);
        case SimpleType.FLOAT:
          return fc.double().map(literalOf.float);
        case SimpleType.STRING:
          return fc.string({ unit: 'binary' }).map(literalOf.string);
        case SimpleType.BOOLEAN:
          return fc.boolean().map(literalOf.boolean);
        case SimpleType.DATETIME:
          return fc.record({ seconds, nanos }).map(literalOf.datetime);
        case SimpleType.DURATION:
          return fc.record({ seconds: fc.bigInt({ min: 0n, max: 10n ** 9n }), nanos }).map(literalOf.duration);
        case SimpleType.BINARY:
          return fc.uint8Array().map((bytes) => literalOf.binary(bytes, 'raw'));
        case SimpleType.ERROR:
          return fc.string().map((message) => literalOf.error(message));
        case SimpleType.STRUCT:
          return fc.dictionary(fc.string(), fc.jsonValue()).map(literalOf.struct);
        default:
          return fc.constant(literalOf.none());
      }
    case 'enumType':
      return fc.constantFrom(...body.value.values).map(literalOf.string);
    case 'blob':
      return fc.constant(literalOf.blob('s3://b/k', body.value.format, body.value.dimensionality));
    case 'schema':
      return fc.constant(literalOf.schema('s3://b/k', body.value));
    case 'structuredDatasetType':
      return fc.constant(literalOf.structuredDataset('s3://b/k', body.value));
    case 'collectionType':
      return fc.array(valueOf(body.value), { maxLength: 4 }).map(literalOf.collection);
    case 'mapValueType':
      return fc.dictionary(fc.string(), valueOf(body.value), { maxKeys: 4 }).map(literalOf.map);
    case 'unionType':
      return fc.oneof(
        ...body.value.variants.map((variant) => valueOf(variant).map((value) => literalOf.union(value, variant))),
      );
  }
}
const typed = plain.chain((type) => valueOf(type).map((literal) => ({ type, literal })));

test('C-111: every type is castable to itself', () => {
  fc.assert(
    fc.property(plain, (type) => castable(type, type)),
    options,
  );
});

test('C-111: a type is castable to a union that has it once, and not to one that has it twice', () => {
  const tagged = (type: LiteralType): LiteralType => ({ ...type, structure: undefined });
  fc.assert(
    fc.property(plain, (type) => {
      expect(castable(type, typeOf.union(tagged(type)))).toBe(true);
      expect(castable(type, typeOf.union(tagged(type), tagged(type)))).toBe(false);
      expect(explainMismatch(type, typeOf.union(tagged(type), tagged(type)))).toMatch(/ambiguous/);
    }),
    options,
  );
});

test('C-111: a union of one is as good as its variant', () => {
  fc.assert(
    fc.property(plain, plain, (a, b) => castable(typeOf.union(a), b) || !castable(a, b)),
    options,
  );
});

test('C-111: casts carry over to lists and maps, and never from one to the other', () => {
  fc.assert(
    fc.property(plain, plain, (a, b) => {
      expect(castable(typeOf.collection(a), typeOf.collection(b))).toBe(castable(a, b));
      expect(castable(typeOf.map(a), typeOf.map(b))).toBe(castable(a, b));
      expect(castable(typeOf.collection(a), typeOf.map(b))).toBe(false);
    }),
    options,
  );
});

test('C-111: a literal of a type always matches that type, its optional, and a union of it', () => {
  fc.assert(
    fc.property(typed, ({ type, literal }) => {
      expect(literalMatchesType(literal, type)).toBe(true);
      expect(literalMatchesType(literalOf.none(), typeOf.optional(type))).toBe(true);
      expect(literalMatchesType(literalOf.union(literal, type), typeOf.union(type, typeOf.none()))).toBe(true);
    }),
    options,
  );
});

test('C-111: None goes where None or a dataset may be, and an empty list or map into any', () => {
  fc.assert(
    fc.property(plain, (type) => {
      const takesNone = isNoneType(type) || type.type?.$case === 'structuredDatasetType';
      expect(castable(typeOf.none(), type)).toBe(takesNone);
      expect(acceptsNone(typeOf.optional(type))).toBe(true);
      expect(literalMatchesType(literalOf.collection([]), typeOf.collection(type))).toBe(true);
      expect(literalMatchesType(literalOf.map({}), typeOf.map(type))).toBe(true);
    }),
    options,
  );
});

test('explanations: there is one exactly when a cast is refused', () => {
  fc.assert(
    fc.property(plain, plain, (a, b) => {
      const problem = explainMismatch(a, b);
      expect(castable(a, b)).toBe(problem === undefined);
      if (problem !== undefined) expect(problem.length).toBeGreaterThan(5);
      expect(formatType(a)).not.toBe('');
    }),
    options,
  );
});

test('promoting a value to a union gives a value of that union, once', () => {
  fc.assert(
    fc.property(typed, ({ type, literal }) => {
      if (literalTypeOf(literal) === undefined) return;
      const union = typeOf.union(type, typeOf.none('none'));
      const fits = literalMatchesType(literal, union);
      const promoted = promoteLiteral(literal, union);
      if (fits) expect(literalTypeOf(promoted)?.type?.$case).toBe('unionType');
      if (fits) expect(literalMatchesType(promoted, union)).toBe(true);
      expect(promoteLiteral(promoted, union)).toBe(promoted);
      expect(promoteLiteral(literal, type)).toEqual(literal);
    }),
    options,
  );
});

test('formatting never fails and never exceeds its limit', () => {
  fc.assert(
    fc.property(typed, ({ literal }) => formatLiteral(literal, { limit: 60 }).length <= 60),
    options,
  );
});

describe('C-111: by example', () => {
  const { integer, string, none, union, schema, structuredDataset, blob, struct } = typeOf;
  const column = (name: string, literalType: LiteralType) => ({ name, literalType });
  const object = (properties: Record<string, unknown>, required: string[] = []) =>
    struct({ type: 'object', properties, required });
  const int = { type: 'integer' };

  test.each<[string, LiteralType, LiteralType, string | undefined]>([
    ['enum to string', typeOf.enum('a'), string(), undefined],
    ['string to enum', string(), typeOf.enum('a'), undefined],
    ['enum to another', typeOf.enum('a'), typeOf.enum('b'), "enum(a) can't be used as enum(b)"],
    ['integer to float', integer(), typeOf.float(), "integer can't be used as float"],
    ['another tag', integer('x'), integer('y'), "it is the variant 'x', not 'y'"],
    ['a file of any format', blob('', 0), blob('csv', 0), undefined],
    ['a file of another format', blob('txt', 0), blob('csv', 0), "the format is 'txt' but should be 'csv'"],
    ['union to a wider one', union(integer(), none()), union(none(), integer(), string()), undefined],
    ['union to a narrower one', union(integer(), string()), union(integer()), 'string fits no variant of integer'],
    ['schema to dataset', schema([{ name: 'a', type: 0 }]), structuredDataset([column('a', integer())]), undefined],
    ['schema to csv', schema(), structuredDataset([], 'csv'), "a schema holds parquet, not 'csv'"],
    [
      'a dataset without a column',
      structuredDataset([column('a', integer())]),
      structuredDataset([column('b', integer())]),
      "column 'b' is missing (there are 'a')",
    ],
    ['a struct without schema', struct(), object({ a: int }), undefined],
    ['a struct with more fields', object({ a: int, b: int }, ['a']), object({ a: int }), undefined],
    ['a struct without a field', object({ a: int }), object({ b: int }), "the source has no field 'b'"],
    [
      'a struct with a field of another type',
      object({ a: int }),
      object({ a: { type: 'string' } }),
      "field 'a' is integer in the source but string where it's used",
    ],
    [
      'a list of another',
      typeOf.collection(integer()),
      typeOf.collection(string()),
      "list items: integer can't be used as string",
    ],
  ])('%s', (_what, from, to, problem) => {
    expect(explainMismatch(from, to)).toBe(problem);
  });

  test('recursive JSON schemas end', () => {
    const tree = {
      $ref: '#/$defs/T',
      $defs: { T: { type: 'object', properties: { next: { $ref: '#/$defs/T' }, v: { type: 'integer' } } } },
    };
    const other = structuredClone(tree);
    other.$defs.T.properties.v.type = 'string';
    expect(castable(struct(tree), struct({ ...tree, title: 'x' }))).toBe(true);
    expect(explainMismatch(struct(tree), struct(other))).toBe(
      "field 'v' is integer in the source but string where it's used",
    );
  });
});
