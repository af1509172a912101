import { compileWorkflow } from '@aloft/compiler';
import {
  array,
  branch,
  compare,
  Driver,
  INT,
  int,
  list,
  plain,
  sub,
  task,
  taskTemplate,
  workflow,
} from './testing/index.js';

/** The engine on what the compiler makes, start and end nodes, renamed cases and all. */
describe('a compiled workflow', () => {
  const tasks = [
    taskTemplate('inc', { inputs: { a: INT }, outputs: { o: INT } }),
    taskTemplate('sum', { inputs: { xs: list(INT) }, outputs: { o: INT } }),
  ];
  const inner = workflow('inner', {
    inputs: { x: INT },
    nodes: [task('n0', 'inc', { a: 'in.x' })],
    outputs: { y: 'n0.o' },
  });
  const template = workflow('wf', {
    inputs: { x: INT },
    nodes: [
      sub('n0', 'inner', { x: 'in.x' }),
      branch(
        'n1',
        { '.v': 'n0.y' },
        [[compare('.v', '>', int(5)), task('n0', 'inc', { a: 'n0.y' })]],
        branch('n1', { '.v': 'n0.y' }, [[compare('.v', '>', int(2)), task('n0', 'inc', { a: 'in.x' })]], 'too small'),
      ),
      array('n2', task('item', 'inc'), { a: ['n0.y', 'n1.o'] }),
      task('n3', 'sum', { xs: 'n2.o' }),
    ],
    outputs: { r: 'n3.o' },
  });

  it('runs to its end', () => {
    const closure = compileWorkflow({ template, subWorkflows: [inner], tasks });
    const driver = new Driver(closure, { inputs: { x: int(3) } });
    const inc = (nodeId: string, index?: number): void => {
      const value = plain(driver.store.read(driver.launchOf(nodeId, index).inputs)?.['a']);
      const own = index === undefined ? value : (value as number[])[index];
      driver.succeed(nodeId, { o: int(Number(own) + 1) }, index);
    };
    inc('n0-0-n0');
    const [inside] = driver.launchedIds();
    expect(driver.phases()).toContain('n1-0-n1-n0:SKIPPED');
    inc(inside!);
    inc('n2', 1);
    inc('n2', 0);
    expect(plain(driver.store.read(driver.launchOf('n3').inputs)?.['xs'])).toEqual([5, 5]);
    driver.succeed('n3', { o: int(10) });
    expect(driver.outputs()).toEqual({ r: 10 });
    const specIds = new Set(closure.primary!.template!.nodes.map(({ id }) => id));
    for (const event of driver.events().nodes) {
      if (event.parentNodeMetadata === undefined) expect(specIds).toContain(event.specNodeId);
    }
  });
});
