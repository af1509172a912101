import { childExecutionName, fixedLengthId, fnv64, itemName, nodeDataPrefix, taskName, uniqueNodeId } from './names.js';

describe('names', () => {
  // The expected strings are those of Flyte's own unit tests (flyteplugins encoder_test.go, flytepropeller nodes/common).
  it.each([
    ['x', 5, 'x'],
    ['xxxxxx', 5, 'fufiti6i'],
    ['xxxxxxxxxxxxxxxxxxxxxxxx', 20, 'fuaa3aji'],
    ['x-y-z-m-n-y-z-m-n-y-z-m-n', 15, 'fe63sz6y'],
  ])('C-161: fixed length id of %s within %d is %s', (text, max, expected) => {
    expect(fixedLengthId(text, max)).toBe(expected);
  });

  it('C-163: the 64-bit form', () => {
    expect(fixedLengthId('x-y-z-m-n-y-z-m-n-y-z-m-n', 15, fnv64)).toBe('fwp4bky2kucex5');
    expect(childExecutionName('short', 'n0', 0)).toBe('short-n0-0');
    expect(childExecutionName('first-name-is-pretty-large', 'hello-world', 1)).toHaveLength(14);
  });

  it('C-161: unique ids follow the parents and their attempts', () => {
    expect(uniqueNodeId(undefined, 'n0')).toBe('n0');
    expect(uniqueNodeId({ nodeId: 'u1', attempt: 2 }, 'n1')).toBe('u1-2-n1');
    expect(uniqueNodeId({ nodeId: 'u1111111111323131231asdadasd', attempt: 2 }, 'n1')).toBe('fraibbty');
  });

  it('C-162: task names are DNS-1123, at most 50 characters, and differ where their sources differ', () => {
    expect(taskName('abc', 'n0', 1)).toBe('abc-n0-1');
    expect(taskName('a'.repeat(60), 'n0', 1)).toMatch(/^f[a-z1-6]{7}$/);
    const upper = taskName('Abc', 'my_node', 0);
    expect(upper).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
    expect(upper).not.toBe(taskName('abc', 'my_node', 0));
    expect(taskName('A'.repeat(20), 'B'.repeat(20), 123).length).toBeLessThanOrEqual(50);
  });

  it('C-162: a million items of one array have a million names', () => {
    const names = new Set<string>();
    for (let index = 0; index < 100_000; index++) {
      names.add(itemName('a'.repeat(20), 'n0-0-n1-0-n2-0-n3', 0, index + 900_000, 0));
    }
    expect(names.size).toBe(100_000);
    for (const name of names) {
      expect(name.length).toBeLessThanOrEqual(50);
      break;
    }
  });

  it('C-100: data lies under project, domain, execution and unique node id', () => {
    const id = { project: 'p', domain: 'd', name: 'e', org: '' };
    expect(nodeDataPrefix(id, 'n0')).toBe('s3://aloft/metadata/propeller/p-d-e/n0/data');
  });
});
