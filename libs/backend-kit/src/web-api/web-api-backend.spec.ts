import { createLocalBlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import { type AloftError, notFound, unavailable } from '@aloft/errors';
import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { createLogger } from '@aloft/telemetry';
import type { PhaseReport } from '../contract.js';
import { BackendHost } from '../host/backend-host.js';
import { launchOf } from '../testing/launches.js';
import { MemoryBus } from '../testing/memory-bus.js';
import { MemoryWorkStore } from '../testing/memory-work-store.js';
import type { Asked, Launch, WebApi, WebApiLimits } from './contract.js';
import { WebApiBackend } from './web-api-backend.js';

const outputs = {
  result: { $case: 'outputs' as const, value: { value: { $case: 'inline' as const, value: { literals: {} } } } },
};
const succeeded: PhaseReport = { phase: Phase.SUCCEEDED, outcome: { ...outputs, deckUri: '', checkpointUri: '' } };

/** A service with jobs, which fails as it is told to. */
class Service implements WebApi<string> {
  readonly name = 'service';
  /** Name of the attempt and state, by id. */
  readonly jobs = new Map<string, { of: string; state: 'running' | 'done' }>();
  readonly reads: number[] = [];
  createFails = 0;
  answersLost = 0;
  deleteFails = 0;
  /** Awaited between the creation of a job and the answer to it. */
  beforeAnswer: () => Promise<void> | void = () => undefined;
  withFind = false;

  capacity = () => ({ slots: 5_000 });
  refuse = () => undefined;
  /** Bytes that a handle takes when it is remembered, at least. */
  handleBytes = 0;
  encode = (id: string) => Buffer.from(id.padEnd(this.handleBytes));
  decode = (bytes: Uint8Array) => {
    const id = Buffer.from(bytes).toString().trimEnd();
    if (!id.startsWith('job-')) throw new Error(`"${id}" is no job`);
    return id;
  };

  async create(launch: Launch) {
    if (this.createFails-- > 0) throw unavailable('the service is away');
    const handle = `job-${this.jobs.size}`;
    this.jobs.set(handle, { of: launch.attempt.name, state: 'running' });
    if (this.answersLost-- > 0) throw unavailable('the answer was lost');
    await this.beforeAnswer();
    return { handle };
  }

  finds = 0;
  changed: (name: string) => boolean = () => false;
  namesOf = (id: string) => [id];
  listen = (changed: (name: string) => boolean) => (this.changed = changed);

  get find(): ((attempt: TaskAttempt) => Promise<string | undefined>) | undefined {
    if (!this.withFind) return undefined;
    return async (attempt) => {
      this.finds += 1;
      return [...this.jobs].find(([, { of }]) => of === attempt.name)?.[0];
    };
  }

  async get(asked: readonly Asked<string>[]): Promise<(PhaseReport | AloftError)[]> {
    this.reads.push(asked.length);
    return asked.map(({ handle }) => {
      const job = this.jobs.get(handle);
      if (!job) return notFound(`there is no job ${handle}`);
      return job.state === 'done' ? succeeded : { phase: Phase.RUNNING };
    });
  }

  async delete(id: string): Promise<void> {
    if (this.deleteFails-- > 0) throw unavailable('the service is away');
    if (!this.jobs.delete(id)) throw notFound(`there is no job ${id}`);
  }
}

describe('a plugin that is a web API', () => {
  const bus = () => new MemoryBus();
  let stage: { bus: MemoryBus; store: MemoryWorkStore; service: Service };
  let host: BackendHost;

  const start = async (limits: Partial<WebApiLimits> = {}) => {
    host = new BackendHost({
      plugin: new WebApiBackend(stage.service, { pollMs: { first: 5, longest: 20 }, ...limits }),
      bus: stage.bus,
      database: undefined as unknown as Database,
      store: stage.store,
      blob: createLocalBlobStore({ dir: '/nowhere', durable: false }),
      logger: createLogger('host', { level: 'silent' }),
      name: 'host-1',
      relaunchMs: { first: 5, longest: 20 },
      reports: { backoffMs: { first: 5, longest: 20 }, timeoutMs: 200, coalesceMs: 5 },
    });
    await host.start();
  };
  const die = () => {
    stage.bus.detach();
    host.vanish();
  };
  const named = (name: string) => launchOf({ name, type: 'remote' });

  beforeEach(() => {
    stage = { bus: bus(), store: new MemoryWorkStore(), service: new Service() };
  });

  afterEach(async () => {
    await host.stop();
  });

  it('that is away is tried again, and each attempt is one job', async () => {
    stage.service.createFails = 3;
    await start();
    const launch = named('run1-n0-0');
    await stage.bus.command({ launch });
    await stage.bus.report(launch.attempt, ({ phase }) => phase === Phase.RUNNING);
    expect(stage.service.jobs.size).toBe(1);
    for (const job of stage.service.jobs.values()) job.state = 'done';
    expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
  });

  it('the next process goes on with the same jobs', async () => {
    await start();
    const launch = named('run1-n0-0');
    await stage.bus.command({ launch });
    await stage.bus.report(launch.attempt, ({ phase }) => phase === Phase.RUNNING);
    die();
    await start();
    for (const job of stage.service.jobs.values()) job.state = 'done';
    await stage.bus.end(launch.attempt);
    expect(stage.service.jobs.size).toBe(1);
  });

  it('that can find a job by its attempt: a death before anything was remembered makes no second one', async () => {
    stage.service.withFind = true;
    const died = new Promise<void>((resolve) => {
      stage.service.beforeAnswer = () => {
        die();
        resolve();
        return new Promise(() => undefined);
      };
    });
    await start();
    const launch = named('run1-n0-0');
    await stage.bus.command({ launch });
    await died;
    stage.service.beforeAnswer = () => undefined;
    await start();
    for (const job of stage.service.jobs.values()) job.state = 'done';
    await stage.bus.end(launch.attempt);
    expect(stage.service.jobs.size).toBe(1);
  });

  it('… nor does an answer that is lost, and who is new is not looked for', async () => {
    stage.service.withFind = true;
    stage.service.answersLost = 1;
    await start();
    const [lost, other] = [named('run1-n0-0'), named('run1-n1-0')];
    await stage.bus.command({ launch: lost });
    await stage.bus.report(lost.attempt, ({ phase }) => phase === Phase.RUNNING);
    await stage.bus.command({ launch: other });
    await stage.bus.report(other.attempt, ({ phase }) => phase === Phase.RUNNING);
    expect([stage.service.jobs.size, stage.service.finds]).toEqual([2, 1]);
  });

  it('… and an abort after such a death ends the job of which nothing was remembered', async () => {
    stage.service.withFind = true;
    const died = new Promise<void>((resolve) => {
      stage.service.beforeAnswer = () => {
        die();
        resolve();
        return new Promise(() => undefined);
      };
    });
    await start();
    const launch = named('run1-n0-0');
    await stage.bus.command({ launch });
    await died;
    for (const row of stage.store.work.values()) row.abortReason = 'asked for before the death';
    await start();
    expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('ABORTED');
    expect(stage.service.jobs.size).toBe(0);
  });

  it('an abort while the job is being created deletes it, however often that fails', async () => {
    let answer!: () => void;
    const asked = new Promise<void>((resolve) => {
      stage.service.beforeAnswer = () => {
        resolve();
        return new Promise((go) => (answer = go));
      };
    });
    stage.service.deleteFails = 1;
    await start();
    const launch = named('run1-n0-0');
    await stage.bus.command({ launch });
    await asked;
    await stage.bus.command({ abort: launch.attempt, reason: 'enough' });
    answer();
    expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('ABORTED');
    expect(stage.service.jobs.size).toBe(0);
  });

  it('a job that the service has lost is a failure of the system, worth another attempt', async () => {
    await start();
    const launch = named('run1-n0-0');
    await stage.bus.command({ launch });
    await stage.bus.report(launch.attempt, ({ phase }) => phase === Phase.RUNNING);
    stage.service.jobs.clear();
    const end = await stage.bus.end(launch.attempt);
    expect(Phase[end.phase]).toBe('RETRYABLE_FAILED');
    expect(end.outcome?.result).toMatchObject({ value: { code: 'JobLost' } });
  });

  it('a job whose handle cannot be remembered is deleted: nobody would find it again', async () => {
    stage.service.handleBytes = 70_000;
    await start();
    const launch = named('run1-n0-0');
    await stage.bus.command({ launch });
    expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('FAILED');
    expect(stage.service.jobs.size).toBe(0);
  });

  it('what was remembered and cannot be read fails that attempt, and keeps no other from going on', async () => {
    await start();
    const launches = [named('run1-n0-0'), named('run1-n1-0')];
    await stage.bus.command(...launches.map((launch) => ({ launch })));
    for (const { attempt } of launches) await stage.bus.report(attempt, ({ phase }) => phase === Phase.RUNNING);
    die();
    const [row] = stage.store.work.values();
    row!.remembered = Buffer.from('from another version');
    await start();
    for (const job of stage.service.jobs.values()) job.state = 'done';
    const ends = await Promise.all(launches.map(({ attempt }) => stage.bus.end(attempt)));
    expect(ends.map(({ phase }) => Phase[phase])).toEqual(['RETRYABLE_FAILED', 'SUCCEEDED']);
  });

  it('that tells by itself that a job changed: it is asked for at once, however rarely it would be', async () => {
    await start({ pollMs: { first: 20, longest: 60_000 } });
    const launch = named('run1-n0-0');
    await stage.bus.command({ launch });
    await stage.bus.report(launch.attempt, ({ phase }) => phase === Phase.RUNNING);
    const [id, job] = [...stage.service.jobs][0]!;
    // By now it would be asked for after ever longer pauses.
    await new Promise((resolve) => setTimeout(resolve, 300));
    job.state = 'done';
    const told = performance.now();
    expect([stage.service.changed(id), stage.service.changed('job-of-nobody')]).toEqual([true, false]);
    await stage.bus.end(launch.attempt);
    expect(performance.now() - told).toBeLessThan(5_000);
    expect(stage.service.changed(id)).toBe(false);
  });

  it('jobs are asked for together', async () => {
    await start({ batch: 100, writes: { concurrency: 50, perSecond: 10_000 } });
    const launches = Array.from({ length: 1_000 }, (_, i) => named(`run1-n${i}-0`));
    await stage.bus.command(...launches.map((launch) => ({ launch })));
    await Promise.all(launches.map(({ attempt }) => stage.bus.report(attempt, ({ phase }) => phase === Phase.RUNNING)));
    expect(Math.max(...stage.service.reads)).toBe(100);
    stage.service.reads.length = 0;
    for (const job of stage.service.jobs.values()) job.state = 'done';
    await Promise.all(launches.map(({ attempt }) => stage.bus.end(attempt)));
    expect(stage.service.reads.length).toBeLessThan(100);
  });
});
