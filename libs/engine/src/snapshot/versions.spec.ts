import { array, closure, Driver, INT, int, list, listOf, task } from '../testing/index.js';
import { restoreRun } from '../runs.js';
import { ByteWriter } from './bytes.js';
import { snapshotVersion } from './write-snapshot.js';

const seconds = (value: number) => ({ seconds: BigInt(value), nanos: 0 });

const spec = closure({
  tasks: {
    r: {
      inputs: { a: INT },
      outputs: { o: INT },
      metadata: { retries: { retries: 2 }, timeout: seconds(60) },
    },
    free: { outputs: { o: INT } },
  },
  nodes: [
    task('n0', 'free', {}, { metadata: { timeout: seconds(50) } }),
    array('n1', task('item', 'r'), { a: listOf([int(1), int(2), int(3)]) }),
  ],
  outputs: { o: 'n0.o', p: 'n1.o' },
  outputTypes: { o: INT, p: list(INT) },
});

/** Taken with version 1: n0 and item 0 run, item 1 is done, item 2 waits for its second attempt's end. */
const version1 = Buffer.from(
  'AgIDMDECNQoMCgFwEgFkIgRleGVjEgN1aWQyDHMzOi8vY2xvc3VyZToBAUICCgBKCiIIczM6Ly9yYXcD6QcBCgEFAQMBAQIBAQEAAAEBAQECAwoABREABw4FAAAAAAUBAwEBBQEBAgIBAQMDAQECAwoAAekHAekHAQICAQQCAQMBAQEBAAEBAQABAQEBAQQBAQIkCiEKHwoBYRIaEhgKBgoECgIIAQoGCgQKAggCCgYKBAoCCAMB6QcB6QcBAgEBAQEBAgEBAQEAAQEBAAEBAQECBASJJwICYQIZBAAAAQQAAAAEAQIBBAEQARAKDQoLCgFvEgYKBAoCCAoEAQMBAgEDAQMBAwIBAQIBBQEBAQECAwdzMzovL2MBBAEDAQEBAQIEAQEBAQMCAgEBAQIDAQEFAgIBAwDNCAEDBgEEAOkHgcq17gEEAQEDAJsIAQUEAQQBpQgBAQE=',
  'base64',
);

describe('snapshots of earlier versions', () => {
  it('version 1 is read, and its run goes on as it would have', () => {
    const driver = new Driver(spec, { behaviours: 0n });
    driver.running('n0');
    driver.running('n1', 0);
    driver.succeed('n1', { o: int(10) }, 1);
    driver.fail('n1', { index: 2, retryable: true, checkpoint: 's3://c' });
    driver.run = restoreRun(version1, driver.lookup);
    driver.succeed('n0', { o: int(7) });
    expect(driver.launchOf('n1', 2)).toMatchObject({ prevCheckpointPrefix: 's3://c', memoryFactor: 1 });
    driver.succeed('n1', { o: int(30) }, 2);
    driver.succeed('n1', { o: int(20) }, 0);
    expect(driver.outputs()).toEqual({ o: 7, p: [20, 10, 30] });
  });

  it('a later one is refused by its number', () => {
    const out = new ByteWriter();
    out.int(snapshotVersion + 1);
    expect(() => restoreRun(out.finish(), () => expect.anything() as never)).toThrow(
      `a snapshot of version ${snapshotVersion + 1}; this engine reads versions up to ${snapshotVersion}`,
    );
  });
});
