import { currentBehaviours } from './behaviours.js';
import { closure, Driver, task, type DriverOptions } from './testing/index.js';

const spec = closure({ tasks: { t: {} }, nodes: [task('n0', 't')] });

describe('behaviours', () => {
  it('are those of a run’s first entry, also after a restore', () => {
    const timeout = { seconds: 60n, nanos: 0 };
    const limited = closure({
      tasks: { t: {} },
      nodes: [task('n0', 't', {}, { metadata: { timeout, retries: { retries: 9 } } })],
    });
    const options: DriverOptions = { behaviours: 0n };
    const driver = new Driver(limited, options);
    // A newer binary goes on with the run.
    options.behaviours = currentBehaviours;
    driver.restart();
    driver.running('n0');
    driver.restart();
    driver.advance(120);
    expect(driver.ended()?.error?.message).toContain('twice its time limit');
  });

  it('that this engine doesn’t know are refused', () => {
    expect(() => new Driver(spec, { behaviours: 1n << 63n })).toThrow(/doesn't know 0x8000000000000000: a binary/);
  });
});
