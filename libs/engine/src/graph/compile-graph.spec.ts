import { branch, closure, compare, Driver, INT, int, sub, task } from '../testing/index.js';
import { compileGraph } from './compile-graph.js';
import { END, START } from './graph.js';

const tasks = { t: { inputs: { a: INT }, outputs: { o: INT } }, free: { outputs: { o: INT } } };

describe('compileGraph', () => {
  it('C-10: hangs nodes without upstream on the start node, those without downstream on the end node', () => {
    const { templates } = compileGraph(
      closure({
        tasks,
        nodes: [task('n0', 'free'), task('n1', 't', { a: 'n0.o' }), task('n2', 'free', {}, { after: ['n0'] })],
      }),
      '01',
    );
    const root = templates[0]!;
    const downOf = (node: number) =>
      [...root.down.subarray(root.firstDown[node], root.firstDown[node + 1])].map((at) => root.ids[at]);
    expect(downOf(START)).toEqual(['n0']);
    expect(downOf(2)).toEqual(['n1', 'n2']);
    expect(downOf(3)).toEqual(['end-node']);
    expect([root.unmet[2], root.unmet[3], root.unmet[END]]).toEqual([1, 1, 2]);
    expect(root.readers[2]).toBe(1);
  });

  it('an edge that is there twice counts once', () => {
    const { templates } = compileGraph(
      closure({ tasks, nodes: [task('n0', 'free'), task('n1', 't', { a: 'n0.o' }, { after: ['n0'] })] }),
      '01',
    );
    expect(templates[0]!.unmet[3]).toBe(1);
  });

  it('a node that only a case of a branch reads is still waited for by the end', () => {
    const chosen = branch('b', {}, [[compare(int(1), '==', int(2)), task('c', 't', { a: 'n0.o' })]], task('e', 'free'));
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free'), chosen] }));
    driver.succeed('b-0-e', { o: int(1) });
    expect(driver.phase()).toBe('RUNNING');
    driver.succeed('n0', { o: int(1) });
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it.each([
    [
      'a cycle',
      [task('n0', 't', { a: 'n1.o' }), task('n1', 't', { a: 'n0.o' })],
      /n0, n1 wait for each other in a cycle/,
    ],
    ['a node that depends on none', [task('n0', 't', { a: 'n9.o' })], /node "n0" depends on node "n9"/],
    ['an unknown task', [task('n0', 'other')], /node "n0" refers to task other@1/],
    ['an unknown sub-workflow', [sub('n0', 'other')], /node "n0" refers to a sub-workflow/],
    ['two nodes of one id', [task('n0', 'free'), task('n0', 'free')], /node "n0" is there twice/],
  ])('refuses %s, and names the node', (_what, nodes, message) => {
    expect(() => compileGraph(closure({ tasks, nodes }), '01')).toThrow(message);
  });
});

describe('explain', () => {
  it('U-12: names what a waiting node waits for', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free'), task('n1', 't', { a: 'n0.o' })] }));
    expect(driver.run.explain('n1')).toMatchObject({
      state: 'Waiting',
      wait: { detail: 'waiting for n0 (Launched)', since: undefined },
    });
    expect(driver.run.explain('n0')).toMatchObject({ state: 'Launched', wait: { since: { seconds: 1000n } } });
    expect(driver.run.explain('n7')).toBeUndefined();
  });
});
