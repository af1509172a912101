import { writeFileSync } from 'node:fs';
import { expect } from '@jest/globals';
import { type Check, phasesOf, until } from './world.js';

/** Rows of part C where we differ from Flyte on purpose and a whole run shows it; docs/part-c.md says which specs have the others. */
export const ours: Record<string, Check> = {
  async *'C-12: the nearest workflow’s failure policy'(world) {
    const go = world.path('nearest-policy');
    const run = await world.run('nearest-policy.wf', { go });
    yield;
    await until(async () => (await phasesOf(run, 'n0'))['n0'] === 'FAILED', 'the failure in the sub-workflow');
    writeFileSync(go, '');
    expect((await run.ended()).phase).toBe('FAILED');
    expect(await phasesOf(run, 'n0')).toEqual({ n0: 'FAILED', n1: 'SUCCEEDED', n2: 'SUCCEEDED' });
  },

  async *'C-36: a task that ran out of 128Mi passes with twice that, after the policy’s wait'(world) {
    const run = await world.run('retry-memory.wf', {});
    yield;
    expect(await run.outputs()).toEqual({ bytes: 140_000_000 });
    const attempts = await (await run.node('n0')).attempts();
    expect(attempts).toMatchObject([{ phase: 'FAILED', code: 'OOMKilled' }, { phase: 'SUCCEEDED' }]);
    const [first, second] = attempts;
    expect(second!.queued - (first!.started + first!.seconds)).toBeGreaterThanOrEqual(2 * 0.8);
  },

  async *'C-54: a run over its time ends TIMED_OUT'(world) {
    const run = await world.run('run-limit.wf', {});
    yield;
    expect(await run.ended()).toMatchObject({ phase: 'TIMED_OUT', code: 'ExecutionTimeoutExpired' });
    expect(await phasesOf(run)).toEqual({ n0: 'ABORTED' });
  },

  async *'C-98: a serialised task says for whom it waits'(world) {
    const go = world.path('reservation');
    const runs = [await world.run('reservation.wf', { go }), await world.run('reservation.wf', { go })];
    yield;
    const why = await until(async () => {
      const all = await Promise.all(runs.map(({ name }) => world.platform.aloft('why', name, 'n0')));
      return all.find((text) => text.includes('RESERVATION'));
    }, 'the one that waits');
    expect(runs.filter(({ name }) => why.includes(name))).toHaveLength(1);
    writeFileSync(go, '');
    const outputs = await Promise.all(runs.map((run) => run.outputs()));
    expect(outputs).toEqual([{ o: 1 }, { o: 1 }]);
    const caches = await Promise.all(runs.map(async (run) => (await run.node('n0')).cache));
    expect(caches.sort()).toEqual(['CACHE_HIT', 'CACHE_POPULATED']);
  },
};
