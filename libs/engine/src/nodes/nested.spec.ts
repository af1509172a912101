import { ExecutionError, ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import { RecoveredNode } from '@aloft/idl/aloft/v1/engine';
import type { StartChild } from '../api.js';
import { child, closure, Driver, eachWay, INT, int, sub, task, type ClosureSpec } from '../testing/index.js';

const tasks = { free: { outputs: { o: INT } }, t: { inputs: { a: INT }, outputs: { o: INT } } };

eachWay('a sub-workflow', () => {
  const inner = { inputs: { x: INT }, nodes: [task('n0', 't', { a: 'in.x' })], outputs: { y: 'n0.o' } };

  it('C-12, C-161: runs inline under its node, with ids, parents and retry group of its own', () => {
    const driver = new Driver(
      closure({
        tasks,
        subs: { inner },
        nodes: [task('n0', 'free'), sub('n1', 'inner', { x: 'n0.o' })],
        outputs: { r: 'n1.y' },
      }),
    );
    driver.succeed('n0', { o: int(4) });
    expect(driver.launchedIds()).toEqual(['n1-0-n0']);
    driver.succeed('n1-0-n0', { o: int(5) });
    expect(driver.outputs()).toEqual({ r: 5 });
    expect(driver.phases()).toEqual(
      expect.arrayContaining(['n1:RUNNING', 'n1-0-start-node:SUCCEEDED', 'n1-0-end-node:SUCCEEDED', 'n1:SUCCEEDED']),
    );
    const nested = driver.events().nodes.find((event) => event.id?.nodeId === 'n1-0-n0')!;
    expect(nested).toMatchObject({ specNodeId: 'n0', retryGroup: '0', parentNodeMetadata: { nodeId: 'n1' } });
    expect(driver.events().nodes.find((event) => event.id?.nodeId === 'n1')).toMatchObject({ isParent: true });
  });

  it('C-35: its time limit tries the whole of it again, with a new retry group', () => {
    const driver = new Driver(
      closure({
        tasks,
        subs: { inner },
        nodes: [
          sub(
            'n1',
            'inner',
            { x: int(1) },
            { metadata: { timeout: { seconds: 9n, nanos: 0 }, retries: { retries: 1 } } },
          ),
        ],
        outputs: { r: 'n1.y' },
      }),
    );
    driver.advance(9);
    expect(driver.launchedIds()).toEqual(['n1-1-n0']);
    expect(driver.phases()).toContain('n1-0-n0:ABORTED');
    driver.succeed('n1-1-n0', { o: int(2) });
    expect(driver.outputs()).toEqual({ r: 2 });
  });

  it('C-161: deep ids are hashed, and still find their nodes', () => {
    const subs = {
      inner,
      middle: {
        inputs: { x: INT },
        nodes: [sub('middle-node', 'inner', { x: 'in.x' })],
        outputs: { y: 'middle-node.y' },
      },
    };
    const driver = new Driver(
      closure({ tasks, subs, nodes: [sub('outer-node', 'middle', { x: int(1) })], outputs: { r: 'outer-node.y' } }),
    );
    const [nodeId] = driver.launchedIds();
    expect(nodeId).toMatch(/^f[a-z1-6]{7}-0-n0$|^f[a-z1-6]{7}$/);
    driver.succeed(nodeId!, { o: int(3) });
    expect(driver.outputs()).toEqual({ r: 3 });
  });
});

eachWay('a dynamic task', () => {
  const generated: ClosureSpec = {
    tasks,
    nodes: [task('dn0', 't', { a: int(1) }), task('dn1', 't', { a: 'dn0.o' })],
    outputs: { o: 'dn1.o' },
  };

  function resolve(driver: Driver, nodeId: string, spec: ClosureSpec): void {
    driver.report(driver.launchOf(nodeId), 3, {
      outcome: {
        result: { $case: 'futures', value: { uri: `s3://futures/${nodeId}`, size: 0n, digest: Buffer.alloc(0) } },
        deckUri: '',
        checkpointUri: '',
      },
    });
    const closureDigest = driver.addGraph(closure(spec));
    driver.answerNext('resolve-graph', { $case: 'graph', value: { closureUri: 's3://closure.pb', closureDigest } });
  }

  it('C-150, C-153: runs what its task generated under its node', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free')], outputs: { r: 'n0.o' } }));
    resolve(driver, 'n0', generated);
    expect(driver.effects).toContainEqual(
      expect.objectContaining({
        ask: expect.objectContaining({ kind: 'resolve-graph', futuresUri: 's3://futures/n0' }),
      }),
    );
    const running = driver.events().nodes.find((event) => event.phase === 9)!;
    expect(running).toMatchObject({ isDynamic: true, isParent: true });
    expect(running.targetMetadata).toMatchObject({
      value: { dynamicWorkflow: { dynamicJobSpecUri: 's3://closure.pb' } },
    });
    driver.succeed('n0-0-dn0', { o: int(1) });
    driver.succeed('n0-0-dn1', { o: int(2) });
    expect(driver.outputs()).toEqual({ r: 2 });
    expect(driver.events().nodes.find((event) => event.id?.nodeId === 'n0-0-dn1')).toMatchObject({
      isInDynamicChain: true,
    });
  });

  it('C-151: a generated task may be dynamic in turn', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free')], outputs: { r: 'n0.o' } }));
    resolve(driver, 'n0', { tasks, nodes: [task('dn0', 'free')], outputs: { o: 'dn0.o' } });
    resolve(driver, 'n0-0-dn0', generated);
    driver.succeed('n0-0-dn0-0-dn0', { o: int(1) });
    driver.succeed('n0-0-dn0-0-dn1', { o: int(9) });
    expect(driver.outputs()).toEqual({ r: 9 });
  });

  it('C-152: a graph that cannot be right fails the node as the user’s error; so does a failing node, without a retry', () => {
    const retried = { d: { outputs: { o: INT }, metadata: { retries: { retries: 3 } } }, ...tasks };
    const bad = new Driver(closure({ tasks: retried, nodes: [task('n0', 'd')] }));
    bad.report(bad.launchOf('n0'), 3, {
      outcome: {
        result: { $case: 'futures', value: { uri: 's3://f', size: 0n, digest: Buffer.alloc(0) } },
        deckUri: '',
        checkpointUri: '',
      },
    });
    const error = ExecutionError.create({ code: 'DynamicWorkflowBuildFailed', kind: ExecutionError_ErrorKind.USER });
    bad.answerNext('resolve-graph', { $case: 'error', value: error });
    expect(bad.ended()?.error).toMatchObject({ code: 'DynamicWorkflowBuildFailed' });
    const failing = new Driver(closure({ tasks: retried, nodes: [task('n0', 'd')] }));
    resolve(failing, 'n0', generated);
    failing.fail('n0-0-dn0');
    expect(failing.phases()).toContain('n0:FAILED');
    expect(failing.launched).toHaveLength(0);
  });

  it('C-82: recovered, it runs the graph that it had generated, and does not run its task again', () => {
    const start = { recoverFrom: { project: 'p', domain: 'd', name: 'old', org: '' }, recoverFromUid: 'old-uid' };
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free')], outputs: { r: 'n0.o' } }), { start });
    const graph = { closureUri: 's3://closure.pb', closureDigest: driver.addGraph(closure(generated)) };
    driver.answerNext('recovered-node', { $case: 'recovered', value: RecoveredNode.fromPartial({ graph }) });
    const done = RecoveredNode.create({ found: true });
    done.outputs = { value: { $case: 'inline', value: { literals: { o: int(1) } } } };
    expect([...driver.requests.values()]).toMatchObject([{ kind: 'recovered-node', specPath: 'n0/dn0' }]);
    driver.answerNext('recovered-node', { $case: 'recovered', value: done });
    driver.answerNext('recovered-node', { $case: 'recovered', value: RecoveredNode.create() });
    expect(driver.launchedIds()).toEqual(['n0-0-dn1']);
    driver.succeed('n0-0-dn1', { o: int(2) });
    expect(driver.outputs()).toEqual({ r: 2 });
    expect(driver.phases()).toContain('n0-0-dn0:RECOVERED');
  });

  it('C-70: frees its place while its nodes run', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free')], outputs: { r: 'n0.o' } }), {
      settings: { maxParallelism: 1 },
    });
    resolve(driver, 'n0', generated);
    expect(driver.launchedIds()).toEqual(['n0-0-dn0']);
  });
});

eachWay('a child execution', () => {
  const parent = (more = {}) =>
    new Driver(closure({ nodes: [child('n0', 'plan', { x: int(1) }, more), ...[]], outputs: { r: 'n0.o' } }));
  const askOf = (driver: Driver) =>
    [...driver.requests.values()].find((ask): ask is StartChild => ask.kind === 'start-child')!;
  const created = (driver: Driver, ask: StartChild) =>
    driver.answerNext('start-child', { $case: 'child', value: { child: driver.childId(ask), childUid: 'c' } });

  it('C-13, C-163: is started under a derived name; its outputs are the node’s', () => {
    const driver = parent();
    const ask = askOf(driver);
    expect(ask).toMatchObject({ name: 'exec-n0-0', nodeId: 'n0', attempt: 0, launchPlan: { name: 'plan' } });
    created(driver, ask);
    const running = driver.events().nodes.find((event) => event.id?.nodeId === 'n0' && event.phase === 2)!;
    expect(running.targetMetadata).toMatchObject({ value: { executionId: { name: 'exec-n0-0' } } });
    driver.childEnded(ask, 4, { outputs: { o: int(3) } });
    expect(driver.outputs()).toEqual({ r: 3 });
  });

  it('its end may overtake the answer to its creation', () => {
    const driver = parent();
    const ask = askOf(driver);
    driver.childEnded(ask, 4, { outputs: { o: int(3) } });
    expect(driver.outputs()).toEqual({ r: 3 });
    expect(created(driver, ask)).toBe(false);
  });

  it('C-13: a failed or aborted child is a user error that names it', () => {
    const failed = parent();
    const ask = askOf(failed);
    created(failed, ask);
    failed.childEnded(ask, 6, { error: ExecutionError.create({ code: 'Inner', message: 'why' }) });
    expect(failed.ended()?.error).toMatchObject({
      code: 'Inner',
      message: 'child execution exec-n0-0 failed: why',
      kind: 1,
    });
    const aborted = parent();
    aborted.childEnded(askOf(aborted), 7);
    expect(aborted.ended()?.error).toMatchObject({ code: 'RemoteChildWorkflowExecutionFailed', kind: 1 });
  });

  it('C-13: the system’s failures to create it are tried again under a new name, the user’s are not', () => {
    const driver = parent();
    driver.answerNext('start-child', { $case: 'error', value: ExecutionError.create({ code: 'X', kind: 2 }) });
    expect(askOf(driver)).toMatchObject({ name: 'exec-n0-1', attempt: 1 });
    driver.answerNext('start-child', { $case: 'error', value: ExecutionError.create({ code: 'NotFound', kind: 1 }) });
    expect(driver.ended()?.error).toMatchObject({ code: 'NotFound' });
  });

  it('C-50: its time limit stops it, and starts another; an abort then stops only that', () => {
    const driver = parent({ metadata: { timeout: { seconds: 5n, nanos: 0 }, retries: { retries: 1 } } });
    created(driver, askOf(driver));
    driver.advance(5);
    const second = askOf(driver);
    expect(second.name).toBe('exec-n0-1');
    driver.abort();
    created(driver, second);
    const stopped = driver.effects.flatMap((effect) => (effect.kind === 'abort-child' ? [effect.child.name] : []));
    expect(stopped).toEqual(['exec-n0-0', 'exec-n0-1']);
  });

  it('an abort stops it; one whose creation is not answered yet, when it is', () => {
    const running = parent();
    const ask = askOf(running);
    created(running, ask);
    running.abort();
    expect(running.effects.filter(({ kind }) => kind === 'abort-child')).toMatchObject([
      { child: { name: 'exec-n0-0' } },
    ]);
    expect(running.run.finished).toBe(true);

    const creating = parent();
    const pending = askOf(creating);
    creating.abort();
    expect(creating.phase()).toBe('ABORTED');
    expect(creating.run.finished).toBe(false);
    expect(creating.run.outstanding()).toMatchObject([
      { kind: 'request', ask: { kind: 'start-child', name: 'exec-n0-0' } },
    ]);
    created(creating, pending);
    expect(creating.effects.at(-1)).toMatchObject({ kind: 'abort-child' });
    expect(creating.run.finished).toBe(true);
  });
});
