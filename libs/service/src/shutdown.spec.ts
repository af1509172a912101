import { createLogger } from '@aloft/telemetry';
import { sharedCheck } from './checks.js';
import { withPatience } from './patience.js';
import { Shutdown } from './shutdown.js';
import { unavailable, failedPrecondition } from '@aloft/errors';

const logger = createLogger('test', { level: 'silent' });

describe('the shutdown of a process', () => {
  it('S-22: goes through its stages in order, within each from the last that was started to the first', async () => {
    const shutdown = new Shutdown({ logger });
    const done: string[] = [];
    shutdown.add('pools', 'database', () => done.push('database'));
    shutdown.add('flush', 'bus', () => done.push('bus'));
    shutdown.add('servers', 'HTTP', () => done.push('HTTP'));
    shutdown.add('consumers', 'first', () => done.push('first'));
    shutdown.add('consumers', 'second', async () => void done.push('second'));
    shutdown.add('unready', 'health', () => done.push('health'));
    shutdown.add('pools', 'registry', () => done.push('registry'));
    const off = shutdown.add('pools', 'never', () => done.push('never'));
    off();
    const [one, two] = await Promise.all([shutdown.run(), shutdown.run()]);
    expect(done).toEqual(['health', 'second', 'first', 'HTTP', 'bus', 'registry', 'database']);
    expect(one).toEqual([]);
    expect(two).toBe(one);
    expect(shutdown.signal.aborted).toBe(true);
  });

  it('names what hangs or fails, and goes on', async () => {
    const shutdown = new Shutdown({ logger, graceMs: 30 });
    const done: string[] = [];
    shutdown.add('consumers', 'stuck', () => new Promise(() => undefined));
    shutdown.add('servers', 'HTTP', (remainingMs) => done.push(remainingMs > 1_000 ? 'HTTP' : 'HTTP without time'));
    shutdown.add('flush', 'broken', () => {
      throw new Error('no connection');
    });
    shutdown.add('pools', 'database', () => done.push('database'));
    expect(await shutdown.run()).toEqual(['consumers: stuck', 'flush: broken']);
    expect(done).toEqual(['HTTP', 'database']);
  });
});

describe('a check that many ask for', () => {
  it('runs once at a time, and a good answer holds for a while', async () => {
    let runs = 0;
    let release: () => void = () => undefined;
    const check = sharedCheck(() => {
      runs++;
      return new Promise<void>((resolve) => (release = resolve));
    }, 60_000);
    const asked = [check(), check()];
    await Promise.resolve();
    release();
    await Promise.all(asked);
    await check();
    expect(runs).toBe(1);
  });

  it('asks again after a bad one', async () => {
    let runs = 0;
    const check = sharedCheck(async () => {
      if (runs++ === 0) throw new Error('away');
    }, 60_000);
    await expect(check()).rejects.toThrow('away');
    await check();
    expect(runs).toBe(2);
  });
});

describe('patience at the start', () => {
  const options = { part: 'database', patienceMs: 0, logger, signal: new AbortController().signal };

  it('waits for what cannot be reached, and not for what is wrong', async () => {
    let tries = 0;
    const reachedLater = async () => {
      if (tries++ === 0) throw unavailable('nobody there');
      return 'there';
    };
    expect(await withPatience(reachedLater, { ...options, patienceMs: 60_000 })).toBe('there');
    await expect(withPatience(() => Promise.reject(unavailable('away')), options)).rejects.toThrow('away');
    const wrong = () => Promise.reject(failedPrecondition('wrong password'));
    await expect(withPatience(wrong, { ...options, patienceMs: 60_000 })).rejects.toThrow('wrong password');
  });

  it('ends when the process is told to stop', async () => {
    const controller = new AbortController();
    const waiting = withPatience(() => Promise.reject(unavailable('away')), {
      ...options,
      patienceMs: 60_000,
      signal: controller.signal,
    });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
