import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { canonicalBytes } from './canonical.js';
import { describeDifference } from './diff.js';
import { requireIdentifier } from './identifiers.js';
import { requireAnnotations, requireLabels } from './labels.js';
import { isWholeQuantity, parseQuantity } from './quantities.js';

test('A-10: quantities in Kubernetes notation', () => {
  expect(parseQuantity('500m')).toBe(500_000_000n);
  expect(parseQuantity('2Gi')).toBe(2n * 1024n ** 3n * 1_000_000_000n);
  expect(parseQuantity('1e3')).toBe(1000n * 1_000_000_000n);
  expect(parseQuantity('0.1')).toBe(100_000_000n);
  expect(parseQuantity('1GB')).toBeUndefined();
  expect(parseQuantity('')).toBeUndefined();
  expect(isWholeQuantity(parseQuantity('1') as bigint)).toBe(true);
  expect(isWholeQuantity(parseQuantity('500m') as bigint)).toBe(false);
});

test('A-11: equal messages have equal bytes, whatever the order of map entries', () => {
  const first = TaskTemplate.fromPartial({
    type: 't',
    config: { b: '2', a: '1' },
    custom: { y: 1, x: [1, { d: 1, c: 2 }] },
  });
  const second = TaskTemplate.fromPartial({
    type: 't',
    config: { a: '1', b: '2' },
    custom: { x: [1, { c: 2, d: 1 }], y: 1 },
  });
  expect(canonicalBytes(TaskTemplate, first)).toEqual(canonicalBytes(TaskTemplate, second));
});

test('K-2: a readable difference names path, old and new value', () => {
  const template = (image: string) =>
    TaskTemplate.fromPartial({ type: 't', target: { $case: 'container', value: { image, args: ['a', 'b'] } } });
  expect(describeDifference({ template: template('one:1') }, { template: template('two:2') })).toBe(
    'template.target.container.image: "one:1" → "two:2"',
  );
});

test('A-5: identifiers name the missing part', () => {
  const id = { resourceType: ResourceType.TASK, project: 'p', domain: 'd', name: 'n', version: '', org: '' };
  expect(() => requireIdentifier(id, ResourceType.TASK)).toThrow('id.version: missing');
  expect(() => requireIdentifier({ ...id, version: 'v' }, ResourceType.WORKFLOW)).toThrow('it must be WORKFLOW');
  expect(() => requireIdentifier({ ...id, version: 'v'.repeat(256) }, ResourceType.TASK)).toThrow('at most 255');
  expect(() => requireIdentifier(undefined, ResourceType.TASK, 'workflow_id')).toThrow('workflow_id: missing');
});

test('A-44: at most so many labels and annotations; 0 is no limit', () => {
  const some = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`l${i}`, 'x']));
  for (const require of [requireLabels, requireAnnotations]) {
    expect(() => require(some, 'spec', 16)).toThrow('17');
    expect(() => require(some, 'spec', 17)).not.toThrow();
    expect(() => require(some, 'spec', 0)).not.toThrow();
  }
});
