import { allowAll, anonymous, authorize, resourceOf, type Policy } from './index.js';

test('allow-all allows', async () => {
  await expect(authorize(allowAll, anonymous, 'a.B/C', {})).resolves.toBeUndefined();
});

test('a refusal says who may not do what where', async () => {
  const policy: Policy = { allows: (_principal, _action, resource) => resource.project !== 'b' };
  await expect(authorize(policy, anonymous, 'x.Admin/GetTask', { project: 'b', name: 't' })).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    message: 'anonymous callers may not call x.Admin/GetTask on project "b", name "t"',
  });
});

test('the resource is found in the request or in its identifiers', () => {
  expect(resourceOf({ project: 'p', domain: 'd', name: '' })).toEqual({ project: 'p', domain: 'd' });
  expect(resourceOf({ id: { nodeId: 'n0', executionId: { project: 'p', domain: 'd', name: 'run' } } })).toEqual({
    project: 'p',
    domain: 'd',
    name: 'run',
  });
  expect(resourceOf(undefined)).toEqual({});
});
