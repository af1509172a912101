import { CacheLookedUp_Result, RecoveredNode, type CacheLookedUp } from '@aloft/idl/aloft/v1/engine';
import { CatalogCacheStatus, CatalogMetadata } from '@aloft/idl/flyteidl/core/catalog';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Request } from '../api.js';
import { array, closure, Driver, eachWay, INT, int, listOf, task, type DriverOptions } from '../testing/index.js';

const tasks = { free: { outputs: { o: INT } }, t: { inputs: { a: INT }, outputs: { o: INT } } };

eachWay('max parallelism', () => {
  it('C-70: bounds the tasks in flight of the whole run, first come first served', () => {
    const driver = new Driver(closure({ tasks, nodes: ['n0', 'n1', 'n2', 'n3'].map((id) => task(id, 'free')) }), {
      settings: { maxParallelism: 2 },
    });
    expect(driver.launchedIds()).toEqual(['n0', 'n1']);
    expect(driver.run.explain('n3')).toMatchObject({
      state: 'Parked',
      wait: { detail: "waiting for one of the run's 2 parallel nodes, position 2" },
    });
    driver.succeed('n1', { o: int(1) });
    expect(driver.launchedIds()).toEqual(['n0', 'n2']);
    driver.succeed('n0', { o: int(1) });
    driver.succeed('n2', { o: int(1) });
    driver.succeed('n3', { o: int(1) });
    expect(driver.phase()).toBe('SUCCEEDED');
  });
});

eachWay('the catalog', () => {
  const spec = (serialize = false) => ({
    tasks: {
      c: {
        outputs: { o: INT },
        metadata: { discoverable: true, discoveryVersion: '1', cacheSerializable: serialize, retries: { retries: 1 } },
      },
    },
    nodes: [task('n0', 'c')],
    outputs: { r: 'n0.o' },
  });
  const looked = (value: Partial<CacheLookedUp>) => ({
    $case: 'cache' as const,
    value: {
      result: CacheLookedUp_Result.MISS,
      outputs: undefined,
      metadata: undefined,
      holder: '',
      retryAt: undefined,
      ...value,
    },
  });
  const storedOk = { $case: 'cacheStored' as const, value: { failed: false, metadata: undefined, reason: '' } };
  const statusOf = (driver: Driver, phase: number) => {
    const event = driver.events().nodes.find((each) => each.id?.nodeId === 'n0' && each.phase === phase);
    return event?.targetMetadata?.$case === 'taskNodeMetadata' ? event.targetMetadata.value : undefined;
  };

  it('C-92, C-93: a hit ends the node without a launch, and says where it came from', () => {
    const metadata = CatalogMetadata.fromPartial({ artifactTag: { artifactId: 'a', name: 'flyte_cached-x' } });
    const driver = new Driver(closure(spec()));
    driver.answerNext(
      'cache-lookup',
      looked({
        result: CacheLookedUp_Result.HIT,
        outputs: { value: { $case: 'inline', value: { literals: { o: int(5) } } } },
        metadata,
      }),
    );
    expect(driver.outputs()).toEqual({ r: 5 });
    expect(driver.phases()).toEqual(['start-node:SUCCEEDED', 'n0:QUEUED', 'n0:SUCCEEDED', 'end-node:SUCCEEDED']);
    expect(statusOf(driver, 3)).toMatchObject({ cacheStatus: 2, catalogKey: { artifactTag: { artifactId: 'a' } } });
    expect(driver.events().tasks).toHaveLength(0);
  });

  it('C-92, C-93: after a miss the outputs are stored; that this fails does not fail the node', () => {
    for (const [failed, status] of [
      [false, 3],
      [true, 5],
    ] as const) {
      const driver = new Driver(closure(spec()));
      driver.answerNext('cache-lookup', looked({}));
      driver.succeed('n0', { o: int(5) });
      expect(driver.phase()).toBe('RUNNING');
      driver.answerNext('cache-store', { $case: 'cacheStored', value: { failed, metadata: undefined, reason: '' } });
      expect(driver.outputs()).toEqual({ r: 5 });
      expect(statusOf(driver, 3)).toMatchObject({ cacheStatus: status });
    }
  });

  it('C-93: nor does a look-up that fails', () => {
    const driver = new Driver(closure(spec()));
    driver.answerNext('cache-lookup', looked({ result: CacheLookedUp_Result.FAILED }));
    expect(driver.launchedIds()).toEqual(['n0']);
  });

  it('C-94: told to overwrite, it neither looks up nor reserves', () => {
    const driver = new Driver(closure(spec(true)), { settings: { overwriteCache: true } });
    expect(driver.launchedIds()).toEqual(['n0']);
    driver.succeed('n0', { o: int(5) });
    const store = [...driver.requests.values()].find((ask) => ask.kind === 'cache-store');
    expect(store).toMatchObject({ overwrite: true });
  });

  it('C-91: a task without outputs is not cached', () => {
    const driver = new Driver(
      closure({ tasks: { c: { metadata: { discoverable: true, discoveryVersion: '1' } } }, nodes: [task('n0', 'c')] }),
    );
    expect(driver.launchedIds()).toEqual(['n0']);
  });

  it('C-95, C-98: waits for somebody else’s reservation, says for whose, and looks again', () => {
    const driver = new Driver(closure(spec(true)));
    expect([...driver.requests.values()]).toMatchObject([{ kind: 'cache-lookup', reserve: true }]);
    driver.answerNext(
      'cache-lookup',
      looked({ result: CacheLookedUp_Result.RESERVED, holder: 'exec9/n3', retryAt: { seconds: 1010n, nanos: 0 } }),
    );
    expect(driver.run.explain('n0')?.wait?.detail).toBe('waiting for the cache reservation held by exec9/n3');
    expect(driver.effects).toContainEqual(
      expect.objectContaining({
        event: expect.objectContaining({ event: expect.objectContaining({ $case: 'wait' }) }),
      }),
    );
    driver.advance(10);
    driver.answerNext('cache-lookup', looked({}));
    driver.fail('n0', { retryable: true });
    driver.succeed('n0', { o: int(1) });
    driver.answerNext('cache-store', storedOk);
    expect(driver.phase()).toBe('SUCCEEDED');
    expect(driver.effects.find(({ kind }) => kind === 'release-reservation')).toMatchObject({
      attempt: { retryAttempt: 0, nodeId: 'n0' },
    });
  });
});

eachWay('a reservation', () => {
  const serialized = { discoverable: true, discoveryVersion: '1', cacheSerializable: true };
  const tasks = { c: { inputs: { a: INT }, outputs: { o: INT }, metadata: serialized } };

  it('C-95 Ours: that was asked for when the node was aborted is not held', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'c', { a: int(1) })] }));
    driver.abort();
    expect(driver.effects.filter(({ kind }) => kind === 'release-reservation')).toMatchObject([
      { attempt: { nodeId: 'n0', retryAttempt: 0 } },
    ]);
    const before = new Driver(closure({ tasks, nodes: [task('n0', 'c', { a: int(1) })] }), { behaviours: 0n });
    before.abort();
    expect(before.effects.filter(({ kind }) => kind === 'release-reservation')).toEqual([]);
  });

  it('C-95, C-96: likewise of each item; and the array says for whose reservation its items wait (C-98)', () => {
    const spec = closure({ tasks, nodes: [array('n0', task('item', 'c'), { a: listOf([int(1), int(2), int(3)]) })] });
    const driver = new Driver(spec);
    const [, ...rest] = driver.requests.keys();
    const reserved = { result: CacheLookedUp_Result.RESERVED, holder: 'p/d/other', outputs: undefined };
    for (const request of rest.slice(0, 1)) {
      driver.answer(request, { $case: 'cache', value: { ...reserved, metadata: undefined, retryAt: undefined } });
    }
    const waits = driver.effects.flatMap((effect) =>
      effect.kind === 'event' && effect.event.event?.$case === 'wait' ? [effect.event.event.value.detail] : [],
    );
    expect(waits).toEqual(['item 1 waits for the cache reservation held by p/d/other']);
    driver.abort();
    const released = driver.effects.flatMap((effect) =>
      effect.kind === 'release-reservation' ? [effect.attempt.index] : [],
    );
    expect(released).toEqual([0, 2]);
    expect(driver.timers.size).toBe(0);
  });

  it('C-95 Ours: is given back after a failure and an abort, too', () => {
    for (const end of [(driver: Driver) => driver.fail('n0'), (driver: Driver) => driver.abort()]) {
      const metadata = { discoverable: true, discoveryVersion: '1', cacheSerializable: true };
      const driver = new Driver(closure({ tasks: { c: { outputs: { o: INT }, metadata } }, nodes: [task('n0', 'c')] }));
      driver.answerNext('cache-lookup', {
        $case: 'cache',
        value: {
          result: CacheLookedUp_Result.MISS,
          outputs: undefined,
          metadata: undefined,
          holder: '',
          retryAt: undefined,
        },
      });
      end(driver);
      expect(driver.effects.filter(({ kind }) => kind === 'release-reservation')).toHaveLength(1);
    }
  });
});

eachWay('recovery', () => {
  const start = { recoverFrom: { project: 'p', domain: 'd', name: 'old', org: '' }, recoverFromUid: 'old-uid' };
  const spec = { tasks, nodes: [task('n0', 'free'), task('n1', 't', { a: 'n0.o' })], outputs: { r: 'n1.o' } };

  it('C-80, C-81: takes over what succeeded; what failed runs again with its checkpoint', () => {
    const asked: string[] = [];
    const onRequest: DriverOptions['onRequest'] = (ask: Request['ask']) => {
      if (ask.kind !== 'recovered-node') return undefined;
      asked.push(ask.specPath);
      const found = RecoveredNode.fromPartial({
        found: true,
        deckUri: 's3://deck',
        cacheMetadata: { artifactTag: { artifactId: 'a', name: 'flyte_cached-x' } },
      });
      found.outputs = { value: { $case: 'inline', value: { literals: { o: int(4) } } } };
      const value = ask.specPath === 'n0' ? found : RecoveredNode.fromPartial({ checkpointUri: 's3://checkpoint' });
      return { $case: 'recovered', value };
    };
    const driver = new Driver(closure(spec), { start, onRequest });
    expect(asked).toEqual(['n0', 'n1']);
    expect(driver.phases()).toContain('n0:RECOVERED');
    expect(driver.events().nodes.find((event) => event.phase === 10)).toMatchObject({ deckUri: 's3://deck' });
    const recovered = driver.events().nodes.find((event) => event.phase === 10)?.targetMetadata;
    expect(recovered).toMatchObject({ value: { cacheStatus: CatalogCacheStatus.CACHE_POPULATED } });
    expect(driver.launchOf('n1')).toMatchObject({ prevCheckpointPrefix: 's3://checkpoint' });
    driver.succeed('n1', { o: int(1) });
    expect(driver.phase()).toBe('SUCCEEDED');
  });
});

eachWay('an abort', () => {
  it('stops all in flight with the cause, once; late reports and a second abort change nothing', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free'), task('n1', 'free')] }));
    const launch = driver.launchOf('n0');
    expect(driver.abort('enough')).toBe(true);
    expect(driver.phase()).toBe('ABORTED');
    expect(driver.phases()).toEqual(expect.arrayContaining(['n0:ABORTED', 'n1:ABORTED']));
    expect(driver.effects.filter(({ kind }) => kind === 'abort')).toHaveLength(2);
    expect(driver.ended()).toMatchObject({ phase: 7, error: { message: 'the execution was aborted by me: enough' } });
    expect(driver.run.finished).toBe(true);
    expect(driver.abort()).toBe(false);
    expect(driver.report(launch, 3)).toBe(false);
  });

  it('says of nothing that it is over before its backend has answered for what was sent to it', () => {
    const nodes = ['n0', 'n1', 'n2', 'n3'].map((id) => task(id, 'free'));
    const driver = new Driver(closure({ tasks, nodes }), { aborts: 'unheard' });
    const launches = nodes.map((_, i) => driver.launchOf(`n${i}`));
    driver.running('n3');
    driver.abort('enough');
    const told = () => driver.effects.flatMap((effect) => (effect.kind === 'abort' ? [effect.attempt.nodeId] : []));
    expect(told()).toEqual(['n0', 'n1', 'n2', 'n3']);
    expect(driver.phase()).toBe('RUNNING');
    // Ended as asked, or come to its end by itself: both are answers; that it runs is none.
    expect(driver.report(launches[0]!, TaskExecution_Phase.ABORTED)).toBe(true);
    expect(driver.report(launches[1]!, TaskExecution_Phase.RUNNING)).toBe(false);
    expect(driver.report(launches[1]!, TaskExecution_Phase.ABORTED)).toBe(true);
    expect(driver.report(launches[1]!, TaskExecution_Phase.ABORTED)).toBe(false);
    expect(driver.report(launches[2]!, TaskExecution_Phase.SUCCEEDED)).toBe(true);
    expect(driver.phases()).not.toContain('n3:ABORTED');
    expect(driver.phase()).toBe('RUNNING');
    expect(driver.report(launches[3]!, TaskExecution_Phase.FAILED)).toBe(true);
    expect(driver.phase()).toBe('ABORTED');
    expect(driver.phases()).toEqual(expect.arrayContaining(nodes.map((_, i) => `n${i}:ABORTED`)));
    // Nobody is told again.
    expect(told()).toEqual(['n0', 'n1', 'n2', 'n3']);
    expect(driver.run.finished).toBe(true);
    expect(driver.timers.size).toBe(0);
  });

  it('waits no longer than 30 s for a backend that says nothing', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free')] }), { aborts: 'unheard' });
    driver.abort();
    expect(driver.phase()).toBe('RUNNING');
    expect([...driver.timers.values()]).toEqual([{ seconds: driver.now.seconds + 30n, nanos: 0 }]);
    driver.advance(30);
    expect(driver.phase()).toBe('ABORTED');
  });

  it('of a run from before that says so at once, as it did', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free')] }), { aborts: 'unheard', behaviours: 0n });
    driver.abort();
    expect(driver.phase()).toBe('ABORTED');
  });

  it('of a run that has ended leaves its end as it is', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free')] }));
    driver.succeed('n0', { o: int(1) });
    expect(driver.abort()).toBe(false);
    expect(driver.phase()).toBe('SUCCEEDED');
  });
});
