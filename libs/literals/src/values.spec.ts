import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { ParameterMap, Variable } from '@aloft/idl/flyteidl/core/interface';
import {
  AttributePathError,
  checkLiteral,
  deterministicBytes,
  digestOf,
  executionInputs,
  expectedInputsOf,
  formatDuration,
  formatLiteral,
  formatPath,
  formatTimestamp,
  formatType,
  inputsInTemplate,
  literalOf,
  literalToJson,
  msgpackPart,
  msgpackToPlain,
  parseDuration,
  parseTimestamp,
  perRetryUniqueKey,
  primitiveOf,
  renderTemplate,
  resolveAttributePath,
  TemplateError,
  typeOf,
  type PathStep,
  type TemplateValues,
} from './index.js';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
/** {"whole": 5.0, "big": 2^63-1, "list": [1, {"x": nil}], 7: "seven", "none": nil} */
const packed = hex(
  '85 a5 77686f6c65 cb 4014000000000000 a3 626967 cf 7fffffffffffffff a4 6c697374 92 01 81 a1 78 c0 07 a5 736576656e a4 6e6f6e65 c0',
);

describe('C-103: attribute paths', () => {
  const at = (path: PathStep[], type?: Parameters<typeof resolveAttributePath>[2]) =>
    resolveAttributePath(literalOf.msgpack(packed), path, type);

  test('msgpack keeps floats floats and int64 exact', () => {
    expect(primitiveOf(at(['whole']))).toEqual({ $case: 'floatValue', value: 5 });
    expect(primitiveOf(at(['big']))).toEqual({ $case: 'integer', value: 2n ** 63n - 1n });
  });

  test('a list within msgpack becomes a list of msgpack, whose parts are its own bytes', () => {
    expect(at(['list'])).toEqual(
      literalOf.collection([literalOf.msgpack(hex('01')), literalOf.msgpack(hex('81a178c0'))]),
    );
    expect(at(['list', 1])).toEqual(literalOf.msgpack(hex('81a178c0')));
    expect(primitiveOf(resolveAttributePath(at(['list']), [0]))).toEqual({ $case: 'integer', value: 1n });
  });

  test('an integer key is found by an index; nil is None unless a struct is wanted', () => {
    expect(primitiveOf(at([7]))).toEqual({ $case: 'stringValue', value: 'seven' });
    expect(at(['none'], typeOf.optional(typeOf.integer()))).toEqual(literalOf.none());
    expect(at(['none'], typeOf.struct())).toEqual(literalOf.msgpack(hex('c0')));
  });

  test("the result is cast to the type that is wanted: a Struct's whole number to an integer", () => {
    const struct = literalOf.struct({ n: 3, list: [1, 2.5] });
    expect(resolveAttributePath(struct, ['n'], typeOf.integer())).toEqual(literalOf.integer(3));
    expect(resolveAttributePath(struct, ['n'])).toEqual(literalOf.float(3));
    expect(resolveAttributePath(struct, ['list', 1], typeOf.integer())).toEqual(literalOf.float(2.5));
    expect(at(['list', 0], typeOf.float())).toEqual(literalOf.float(1));
  });

  test('through maps, lists and unions', () => {
    const nested = literalOf.map({
      a: literalOf.collection([
        literalOf.union(literalOf.map({ b: literalOf.integer(1) }), typeOf.map(typeOf.integer())),
      ]),
    });
    expect(resolveAttributePath(nested, ['a', 0, 'b'])).toEqual(literalOf.integer(1));
    expect(resolveAttributePath(nested, [])).toBe(nested);
  });

  test.each<[string, ReturnType<typeof literalOf.map>, PathStep[], RegExp]>([
    ['a missing key', literalOf.map({ a: literalOf.integer(1) }), ['b'], /path \.b: there is no key 'b' \(keys: 'a'\)/],
    [
      'an index out of range',
      literalOf.collection([]),
      [0],
      /path \[0\]: index 0 is out of range: the list has 0 items/,
    ],
    ['a key into a list', literalOf.collection([]), ['x'], /'x' is a key, but there is a list/],
    ['a step into an integer', literalOf.integer(1), ['x'], /1 has no parts/],
    ['a step into raw bytes', literalOf.binary(hex('00')), ['x'], /tag ''/],
    ['a missing key in msgpack', literalOf.msgpack(packed), ['list', 1, 'y'], /path \.list\[1\]\.y: .*'x'/],
    ['broken msgpack', literalOf.msgpack(hex('92 01')), [0], /malformed msgpack at byte 2 of 2/],
    ['an inherited key', literalOf.struct({}), ['toString'], /no key 'toString'/],
  ])('%s is a typed error that says where', (_what, literal, path, message) => {
    expect(() => resolveAttributePath(literal, path)).toThrow(message);
  });

  test('the error names the step that failed', () => {
    expect.assertions(2);
    try {
      at(['list', 9, 'x']);
    } catch (error) {
      expect(error).toBeInstanceOf(AttributePathError);
      expect((error as AttributePathError).step).toBe(1);
    }
  });

  test('paths read like code', () => expect(formatPath(['a', 'b c', 3])).toBe('.a["b c"][3]'));
});

describe('msgpack', () => {
  test('all forms are read', () => {
    const plain = (text: string) => msgpackToPlain(msgpackPart(hex(text)).read());
    expect(plain('ca 3fc00000')).toBe(1.5);
    expect(plain('d0 80')).toBe(-128);
    expect(plain('d1 8000')).toBe(-32768);
    expect(plain('d2 80000000')).toBe(-2147483648);
    expect(plain('d3 8000000000000000')).toBe(-(2n ** 63n));
    expect(plain('e0')).toBe(-32);
    expect(plain('cd ffff')).toBe(65535);
    expect(plain('d9 02 c3a9')).toBe('é');
    expect(plain('c4 02 0001')).toEqual(new Uint8Array([0, 1]));
    expect(plain('dc 0001 c3')).toEqual([true]);
    expect(plain('de 0001 a161 c2')).toEqual({ a: false });
    expect(plain('d6 ff 00000000')).toEqual(Buffer.from([0, 0, 0, 0]));
  });

  test.each([
    ['nothing', ''],
    ['a byte that starts no value', 'c1'],
    ['more than one value', '01 02'],
    ['a list that claims a billion items', 'dd 3b9aca00'],
    ['a string that is cut', 'a5 6161'],
    ['endless depth', '91'.repeat(600) + '01'],
  ])('%s is refused', (_what, text) => expect(() => msgpackPart(hex(text))).toThrow(/malformed msgpack/));
});

describe('C-106: command templates', () => {
  const values: TemplateValues = {
    input: 's3://b/in/inputs.pb',
    inputPrefix: 's3://b/in',
    outputPrefix: 's3://b/out',
    rawOutputDataPrefix: 's3://b/raw/{{.namespace}}',
    checkpointOutputPrefix: 's3://b/cp',
    prevCheckpointPrefix: '',
    perRetryUniqueKey: 'a_b',
    namespace: 'p-d',
    inputs: {
      literals: {
        n: literalOf.integer(5),
        'x.y': literalOf.string('$& {{.input}}'),
        map: literalOf.map({}),
        none: literalOf.none(),
        config: literalOf.msgpack(packed),
      },
    },
  };

  test('keys in any case, with a dot or a dollar, with or without blanks', () => {
    expect(renderTemplate(['--in={{.input}}', '{{ .INPUT }}', '{{$Input}}:{{ .outputPrefix }}'], values)).toEqual([
      '--in=s3://b/in/inputs.pb',
      's3://b/in/inputs.pb',
      's3://b/in/inputs.pb:s3://b/out',
    ]);
  });

  test('an empty previous checkpoint is two quote characters; the namespace is filled within other values', () => {
    expect(renderTemplate(['{{.prevCheckpointPrefix}}', '{{.rawOutputDataPrefix}}'], values)).toEqual([
      '""',
      's3://b/raw/p-d',
    ]);
  });

  test('a value is written as it is, whatever it looks like; unknown placeholders stay', () => {
    expect(renderTemplate(['{{.inputs.x.y}}|{{.unknown}}|{{.inputs.n}}'], values)).toEqual([
      '$& {{.input}}|{{.unknown}}|5',
    ]);
  });

  test('dataclasses are JSON with whole integers', () => {
    expect(renderTemplate(['{{.inputs.config}}'], values)).toEqual([
      '{"7":"seven","whole":5,"big":9223372036854775807,"list":[1,{"x":null}],"none":null}',
    ]);
  });

  test.each([
    [
      '{{.inputs.nope}}',
      /placeholder \{\{\.inputs\.nope\}\}: there is no input 'nope' \(inputs: config, map, n, none, x\.y\)/,
    ],
    ['{{.inputs.map}}', /a map can't be written/],
    ['{{.inputs.none}}', /None/],
    ['{{.taskTemplatePath}}', /no task template is stored/],
  ])('%s is an error that names it', (arg, message) => {
    expect(() => renderTemplate([arg], values)).toThrow(message);
    expect(() => renderTemplate([arg], values)).toThrow(TemplateError);
  });

  test('which inputs a command shows', () => {
    expect(inputsInTemplate(['{{.input}}', 'x={{ .Inputs.a }}{{$inputs.b}}'])).toEqual(new Set(['a', 'b']));
    expect(perRetryUniqueKey('0f-n0-1')).toBe('af_n0_1');
  });
});

describe('inputs of launch plans and executions', () => {
  const variable = (type: Variable['type']): Variable => ({
    type,
    description: '',
    artifactPartialId: undefined,
    artifactTag: undefined,
  });
  const workflow = {
    variables: { a: variable(typeOf.integer()), b: variable(typeOf.string()), c: variable(typeOf.enum('x', 'y')) },
  };
  const defaults: ParameterMap = {
    parameters: { b: { var: variable(typeOf.string()), behavior: { $case: 'default', value: literalOf.string('d') } } },
  };
  const fixed = { literals: { c: literalOf.string('x') } };
  const expected = expectedInputsOf(workflow, { defaults, fixed });
  const launch = (literals: LiteralMap['literals']) => executionInputs(expected, fixed, { literals });

  test('K-11: a plan still takes what is neither defaulted nor fixed', () => {
    expect(Object.entries(expected.parameters).map(([name, { behavior }]) => [name, behavior!.$case])).toEqual([
      ['a', 'required'],
      ['b', 'default'],
    ]);
  });

  test.each([
    ['an unknown default', { defaults: { parameters: { z: defaults.parameters.b! } }, fixed: undefined }, /default input 'z' is unknown: expected are 'a', 'b', 'c'/],
    ['a wrong default', { defaults: { parameters: { a: defaults.parameters.b! } }, fixed: undefined }, /default input 'a' is declared as string/],
    ['an unknown fixed input', { defaults: undefined, fixed: { literals: { z: literalOf.none() } } }, /fixed input 'z' is unknown/],
    ['a wrong fixed input', { defaults: undefined, fixed: { literals: { a: literalOf.string('5') } } }, /fixed input 'a' has the wrong type: "5" \(string\).*integer is expected \(e\.g\. 42\)/],
  ])('K-11: %s is refused', (_what, plan, message) => expect(() => expectedInputsOf(workflow, plan)).toThrow(message)); // prettier-ignore

  test('K-17: given, defaulted and fixed inputs make the whole', () => {
    expect(launch({ a: literalOf.integer(1) }).literals).toEqual({
      a: literalOf.integer(1),
      b: literalOf.string('d'),
      ...fixed.literals,
    });
  });

  test.each([
    [
      'an unknown input',
      { a: literalOf.integer(1), z: literalOf.none() },
      /input 'z' is unknown: expected are 'a', 'b'/,
    ],
    ['a missing one', {}, /input 'a' \(integer\) is required but missing/],
    [
      'an overridden fixed one',
      { a: literalOf.integer(1), c: literalOf.string('y') },
      /'c' is fixed by the launch plan/,
    ],
    [
      'a wrong type',
      { a: literalOf.string('x') },
      /input 'a' has the wrong type: "x" \(string\) was given, integer is expected/,
    ],
  ])('K-17: %s is refused', (_what, literals, message) => {
    expect(() => launch(literals as LiteralMap['literals'])).toThrow(message);
  });

  test('a value that is none of an enum is refused with those that there are, also within lists', () => {
    const list = literalOf.collection([literalOf.string('x'), literalOf.string('z')]);
    expect(() => checkLiteral("input 'c'", list, typeOf.collection(typeOf.enum('x', 'y')))).toThrow(
      /a list whose items are like: one of "x", "y"\): item 1: 'z' is none of 'x', 'y'/,
    );
  });
});

describe('text', () => {
  test('types and literals read as people write them', () => {
    expect(formatType(typeOf.collection(typeOf.map(typeOf.optional(typeOf.float()))))).toBe(
      'list<map<string, float | none>>',
    );
    expect(formatType(typeOf.enum(...'abcdefghij'))).toBe('enum(a, b, c, d, e, f, g, h, … 2 more)');
    expect(
      formatLiteral(literalOf.map({ a: literalOf.collection([literalOf.float(1), literalOf.string('x"')]) })),
    ).toBe('{"a": [1.0, "x\\""]}');
    expect(formatLiteral(literalOf.msgpack(packed))).toMatch(/^\{"7": "seven", "whole": 5, "big": 9223372036854775807/);
    expect(
      formatLiteral(literalOf.collection(Array<ReturnType<typeof literalOf.integer>>(1e5).fill(literalOf.integer(1))), {
        limit: 10,
      }),
    ).toBe('[1, 1, 1,…');
  });

  test('times keep their nanoseconds', () => {
    for (const text of ['2026-11-23T08:30:00.123456789Z', '1901-01-01T00:00:00Z', '2026-01-01T00:00:00.120Z'])
      expect(formatTimestamp(parseTimestamp(text)!)).toBe(text);
    expect(parseTimestamp('2026-11-23T08:30:00+02:00')).toEqual(parseTimestamp('2026-11-23T06:30:00Z'));
    expect(parseTimestamp('2026-13-01T00:00:00Z')).toBeUndefined();
    expect(parseTimestamp('soon')).toBeUndefined();
    expect(formatDuration(parseDuration('-1h30m0.5s')!)).toBe('-5400.500s');
    expect(parseDuration('1d')).toEqual({ seconds: 86400n, nanos: 0 });
    expect(parseDuration('5')).toBeUndefined();
    expect(() => formatTimestamp({ seconds: 10n ** 15n, nanos: 0 })).toThrow(/out of range/);
  });
});

describe('A-11: digests', () => {
  test('do not depend on the order of maps, but on everything else', () => {
    const map = (literals: LiteralMap['literals']) => digestOf(LiteralMap, { literals });
    const [a, b] = [literalOf.integer(1), literalOf.struct({ y: 1, x: { q: [1], p: null } })];
    expect(map({ a, b })).toBe(map({ b: literalOf.struct({ x: { p: null, q: [1] }, y: 1 }), a }));
    const digests = [map({ a, b }), map({ a }), map({ a: literalOf.integer(2), b }), map({ a: literalOf.float(1), b }), map({ a, b: { ...b, hash: 'h' } })]; // prettier-ignore
    expect(new Set(digests).size).toBe(digests.length);
  });

  test('are those of what was sent and of what was read back, whatever names maps have', () => {
    const names = ['z', '10', '9', '__proto__', '_unknownFields', 'ü', 'a', '\u{1f600}', '\uff5e'];
    const mapOf = (keys: readonly string[]): LiteralMap['literals'] => {
      const map = {};
      for (const key of keys)
        Object.defineProperty(map, key, {
          value: literalOf.struct({ [key]: 0, b: 1, a: { d: 1, c: 2 } }),
          enumerable: true,
        });
      return map;
    };
    const there = { literals: mapOf(names) };
    const back = { literals: mapOf([...names].reverse()) };
    const bytes = deterministicBytes(LiteralMap, there);
    expect(deterministicBytes(LiteralMap, back)).toEqual(bytes);
    expect(deterministicBytes(LiteralMap, LiteralMap.decode(bytes))).toEqual(bytes);
    expect(deterministicBytes(LiteralMap, LiteralMap.decode(LiteralMap.encode(back).finish()))).toEqual(bytes);
    // What was given stays as it was.
    expect(Object.keys(back.literals)).toEqual(Object.keys(mapOf([...names].reverse())));
    // Digests lie in databases: a new version must find the same ones.
    expect(digestOf(LiteralMap, there)).toBe('482d5cc337e23408c8e626c1cc814492ed60adc762d21718f8ebc8b47b091d33');
  });
});

test('canonical JSON of a literal is that of protobuf', () => {
  expect(literalToJson(literalOf.datetime({ seconds: 0n, nanos: 1000 }))).toEqual({
    scalar: { primitive: { datetime: '1970-01-01T00:00:00.000001Z' } },
  });
});
