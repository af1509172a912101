import { differences } from './differences.js';

test('X-3: names the fields that differ by their paths', () => {
  const derived = {
    phase: 'SUCCEEDED',
    closure: { logs: [{ uri: 'a' }, { uri: 'b' }], at: { seconds: 5n, nanos: 0 } },
  };
  const stored = { phase: 'FAILED', closure: { logs: [{ uri: 'a' }, { uri: 'c' }], at: { seconds: 6n, nanos: 0 } } };
  expect(differences(derived, stored)).toEqual([
    { field: 'phase', derived: 'SUCCEEDED', stored: 'FAILED' },
    { field: 'closure.logs[1].uri', derived: 'b', stored: 'c' },
    { field: 'closure.at.seconds', derived: '5', stored: '6' },
  ]);
});

test('a default equals an absent field, whatever its type; unknown fields count for nothing', () => {
  const empty = {
    a: '',
    b: 0,
    c: 0n,
    d: false,
    e: [],
    f: Buffer.alloc(0),
    g: { h: undefined },
    _unknownFields: { 1: [] },
  };
  expect(differences(empty, {})).toEqual([]);
  expect(differences({ outcome: { $case: 'error', value: {} } }, {})).toHaveLength(1);
});

test('bytes are told by size and digest, long texts cut', () => {
  const [bytes] = differences({ outputs: Buffer.from('a') }, {});
  expect(bytes).toEqual({ field: 'outputs', derived: '1 bytes (SHA-256 ca978112ca1b…)', stored: '(absent)' });
  expect(differences('x'.repeat(500), 'y')[0]!.derived).toHaveLength(201);
  expect(differences([1, 2], [1])).toEqual([{ field: '', derived: '[1,2]', stored: '[1]' }]);
});
