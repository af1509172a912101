import { restoreRun } from '../runs.js';
import { array, closure, Driver, gate, INT, int, sub, task } from '../testing/index.js';

/** What an engine of version 1 wrote of the run below: n0 in its second attempt, one of m's items done, g waiting. */
const version1 =
  'AgIDMDECNQoMCgFwEgFkIgRleGVjEgN1aWQyDHMzOi8vY2xvc3VyZToBAUICCgBKCiIIczM6Ly9yYXcD6QcBFAECAgQBAQMBAQEAAAEBAQECAwoACBEABwkOCwAIAAAAAAAAAAgBBQEBAQECCAEBAgEBAQIBAQUDAgECEAoNCgsKAWESBgoECgIIAQHpBwHpBwECAgEBAQEDAQEBAQABAQEAAQEBAQEEAQECEAoNCgsKAXgSBgoECgIIAgHpBwHpBwEBAgEBAQEBAQEBAQABAQECAQEBAQEFAQECHAoZChcKAWESEhIQCgYKBAoCCAEKBgoECgIIAgHpBwHpBwECAQEBAQECAQEBAQABAQEAAQEBAQIDA4knAgJhAgYDAAADAAADAgEDEAEQCg0KCwoBbxIGCgQKAggBAwECAQIBAgICAQEBAQEBAQEBAwEEAQEBAQICAQEBAQICAQYBAQIDCgAB6QcB6QcBAQIBAQEBAQEBAQEAAQEBAAEBAQEBAgECAQQBAQEBAhAKDQoLCgF4EgYKBAoCCAIEEQAGBAAAAAQBAgEEAQECAQECAwEBAhAKDQoLCgFhEgYKBAoCCAIB6QcB6QcBAgEBAQEBAgEBAQEAAQEBAAEBAQEBAQICBgEFAOkHgcq17gECA2dvAjABAQIBBgE=';

describe('snapshots of older versions', () => {
  const tasks = {
    free: { outputs: { o: INT } },
    t: { inputs: { a: INT }, outputs: { o: INT }, metadata: { retries: { retries: 2 } } },
  };
  const inner = { inputs: { x: INT }, nodes: [task('n0', 't', { a: 'in.x' })], outputs: { y: 'n0.o' } };
  const signal = { signalId: 'go', type: INT, outputVariableName: 'o' };
  const spec = {
    tasks,
    subs: { inner },
    nodes: [
      task('n0', 't', { a: int(1) }),
      sub('s', 'inner', { x: int(2) }),
      array('m', task('item', 't'), { a: [int(1), int(2)] }),
      gate('g', { $case: 'signal', value: signal }),
      task('n1', 't', { a: 'n0.o' }),
    ],
    outputs: { r: 'n1.o' },
  };

  it('version 1 is read, and its run goes on; nodes that it had seen end can be run again, with attempts of their own', () => {
    const driver = new Driver(closure(spec), { behaviours: 0n });
    driver.fail('n0', { retryable: true });
    driver.running('n0');
    driver.succeed('m', { o: int(1) }, 0);
    driver.run = restoreRun(Buffer.from(version1, 'base64'), driver.lookup);
    driver.succeed('n0', { o: int(3) });
    expect(
      driver.control('n0', { $case: 'rerun', value: { inputs: undefined, task: undefined, overrides: undefined } }),
    ).toBe(true);
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(2);
    driver.succeed('n0', { o: int(4) });
    driver.succeed('s-0-n0', { o: int(5) });
    driver.control('s', { $case: 'rerun', value: { inputs: undefined, task: undefined, overrides: undefined } });
    // Whatever attempts an older engine may have seen of it: not one of those.
    expect(driver.launchedIds()).toContain('s-1001-n0');
    driver.signal('go', int(1));
    driver.succeed('m', { o: int(1) }, 1);
    driver.succeed('n1', { o: int(6) });
    expect(driver.launchedIds()).toHaveLength(1);
    driver.succeed(driver.launchedIds()[0]!, { o: int(7) });
    expect(driver.outputs()).toEqual({ r: 6 });
  });

  it('newer ones are refused', () => {
    expect(() =>
      restoreRun(Uint8Array.of(9), () => {
        throw new Error('no graph is asked for');
      }),
    ).toThrow('a snapshot of version 8; this engine reads versions up to 7');
  });
});
