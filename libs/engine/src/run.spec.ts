import { closure, Driver, INT, int, task } from './testing/index.js';

const tasks = { inc: { inputs: { a: INT }, outputs: { o: INT } } };

describe('a run', () => {
  it('C-10, C-11: goes from start to end through its tasks', () => {
    const driver = new Driver(
      closure({
        tasks,
        inputs: { x: INT },
        nodes: [task('n0', 'inc', { a: 'in.x' }), task('n1', 'inc', { a: 'n0.o' })],
        outputs: { r: 'n1.o' },
      }),
      { inputs: { x: int(1) } },
    );
    expect(driver.launchedIds()).toEqual(['n0']);
    driver.running('n0');
    driver.succeed('n0', { o: int(2) });
    expect(driver.launchedIds()).toEqual(['n1']);
    driver.succeed('n1', { o: int(3) });
    expect(driver.phase()).toBe('SUCCEEDED');
    expect(driver.run.finished).toBe(true);
    expect(driver.outputs()).toEqual({ r: 3 });
    expect(driver.phases()).toEqual([
      'start-node:SUCCEEDED',
      'n0:QUEUED',
      'n0:RUNNING',
      'n0:SUCCEEDED',
      'n1:QUEUED',
      'n1:SUCCEEDED',
      'end-node:SUCCEEDED',
    ]);
    expect(driver.events().sequences).toEqual(driver.events().sequences.map((_, at) => at + 1));
  });
});
