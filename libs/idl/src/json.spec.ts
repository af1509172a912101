import { descriptorRegistry, fromJson, JsonMappingError, toJson } from './json.js';

const bytes = fromJson('flyteidl.admin.Execution', {
  id: { project: 'p' },
  closure: { startedAt: '1970-01-01T00:00:05.000000001Z' },
});

test('defaults, nulls and field names are emitted on request', () => {
  expect(toJson('flyteidl.admin.Execution', bytes)).toEqual({
    id: { project: 'p' },
    closure: { startedAt: '1970-01-01T00:00:05.000000001Z' },
  });
  expect(
    toJson('flyteidl.admin.Execution', bytes, { emitDefaults: true, emitNulls: true, protoFieldNames: true }),
  ).toEqual({
    id: { project: 'p', domain: '', name: '', org: '' },
    spec: null,
    closure: expect.objectContaining({
      phase: 'UNDEFINED',
      started_at: '1970-01-01T00:00:05.000000001Z',
      duration: null,
      notifications: [],
      state_change_details: null,
    }) as object,
  });
  expect(
    Object.keys((toJson('flyteidl.admin.Execution', bytes, { emitNulls: true }) as { closure: object }).closure),
  ).not.toContain('error'); // a member of a oneof
});

test('field names are read in either form', () => {
  const camel = fromJson('flyteidl.core.Identifier', { resourceType: 'TASK' });
  expect(fromJson('flyteidl.core.Identifier', { resource_type: 'TASK' })).toEqual(camel);
  expect(fromJson('flyteidl.core.Identifier', { resource_type: 1, new: 1 }, { ignoreUnknownFields: true })).toEqual(
    camel,
  );
});

test.each([
  ['an unknown field', () => fromJson('flyteidl.core.Identifier', { nope: 1 }), /flyteidl\.core\.Identifier: .*nope/],
  ['a wrong value', () => fromJson('flyteidl.core.Identifier', { name: 5 }), /name/],
  [
    'bytes of something else',
    () => toJson('flyteidl.core.Identifier', Buffer.from([0x0a, 0x05, 0x41])),
    /Identifier: /,
  ],
  ['an unknown message', () => toJson('flyteidl.core.Nope', Buffer.alloc(0)), /no message of that name/],
])('%s is a typed error', (_what, act, message) => {
  expect(act).toThrow(JsonMappingError);
  expect(act).toThrow(message);
});

test('the registry has services and is made once', () => {
  const service = descriptorRegistry().getService('flyteidl.service.AdminService');
  expect(service!.methods.map(({ name }) => name)).toContain('CreateExecution');
  expect(descriptorRegistry()).toBe(descriptorRegistry());
});
