import { unavailable } from '@aloft/errors';
import { createLogger } from '@aloft/telemetry';
import type { Database } from '@aloft/database';
import { describe, expect, it } from '@jest/globals';
import type { RunsRepository } from '../runs/runs.repository.js';
import { systemTiming, type Alarm } from '../runs/timing.js';
import { TimerService } from './timer-service.js';

type Rows = { uid: string; timer: bigint; at: number }[];

/** A timer service on a clock of the test's, whose reads of the database the test answers. */
function setUp() {
  let now = 0;
  const alarms = new Set<{ at: number; work: () => void }>();
  const reads: { resolve(rows: Rows): void; reject(error: unknown): void }[] = [];
  const after = (ms: number, work: () => void): Alarm => {
    const alarm = { at: now + ms, work };
    alarms.add(alarm);
    return { cancel: () => alarms.delete(alarm) };
  };
  const repository: Pick<RunsRepository, 'timers'> = {
    timers: () => new Promise((resolve, reject) => reads.push({ resolve, reject })),
  };
  const service = new TimerService(
    {
      database: {} as Database,
      repository: repository as RunsRepository,
      logger: createLogger('test', { level: 'silent' }),
      timing: { ...systemTiming, after },
      now: () => now,
      horizonMs: 1000,
      windowSize: 10,
    },
    () => [1],
    () => undefined,
  );
  return {
    service,
    reads,
    /** Lets time pass in steps of a millisecond. */
    async pass(ms: number) {
      for (const end = now + ms; now < end;) {
        now += 1;
        for (const alarm of [...alarms]) {
          if (alarm.at > now) continue;
          alarms.delete(alarm);
          alarm.work();
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

describe('TimerService', () => {
  it('reads the next window once, however long the database takes', async () => {
    const { service, reads, pass } = setUp();
    void service.refresh();
    reads[0]!.resolve([]);
    await pass(1500);
    expect(reads).toHaveLength(2);
    await pass(500);
    reads[1]!.resolve([{ uid: 'run', timer: 7n, at: 1800 }]);
    await pass(1);
    expect(reads).toHaveLength(2);
    expect(service.due(10).map(({ timer }) => timer)).toEqual([7n]);
  });

  it('reads again by itself after a read that failed, whoever asked for it', async () => {
    const { service, reads, pass } = setUp();
    const asked = service.refresh();
    reads[0]!.reject(unavailable('no connection'));
    await expect(asked).rejects.toThrow('no connection');
    await pass(1000);
    expect(reads).toHaveLength(2);
  });
});
