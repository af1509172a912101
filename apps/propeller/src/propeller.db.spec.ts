import { WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import { LogSegment } from '@aloft/idl/aloft/v1/engine';
import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { Resources_ResourceName as ResourceName } from '@aloft/idl/flyteidl/core/tasks';
import { literalOf } from '@aloft/literals';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Rig, type RigOptions } from './testing/rig.js';
import { echoOutputs, ScriptedBackend, type Script } from './testing/scripted-backend.js';
import { chain, closureOf, echo, fanOut, signalNode, sleepNode, task, taskNode } from './testing/workflows.js';

// Real: Postgres, the bus, blob folder, engine. Scripted: the backend host.
describe('Propeller on Postgres and its bus', () => {
  let rig: Rig;

  afterEach(() => rig.close());

  async function open(script?: Script, options: RigOptions = {}): Promise<ScriptedBackend> {
    rig = await Rig.open(options);
    const backend = new ScriptedBackend(rig.bus, script);
    rig.onClose(() => backend.close());
    return backend;
  }

  it('runs a chain, passing each value on', async () => {
    const backend = await open();
    await rig.started();
    const run = await rig.start(chain(5));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toHaveLength(5);
    expect(rig.events.problems).toEqual([]);
    expect(rig.events.result(run.uid)).toMatchObject({
      $case: 'outputData',
      value: { literals: { o0: literalOf.integer(1) } },
    });
  });

  it('runs a fan-out of 200 with one launch each', async () => {
    const backend = await open();
    await rig.started();
    const run = await rig.start(fanOut(200));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(new Set(backend.launches).size).toBe(200);
    expect(backend.launches).toHaveLength(200);
    expect(rig.events.problems).toEqual([]);
  });

  it('runs that begin at once do not make one commit of all that they want', async () => {
    const backend = await open(undefined, { config: { commit: { maxEffects: 500 } } });
    const closure = await rig.closure(fanOut(100));
    const runs = Array.from({ length: 30 }, () => rig.startCommand(closure.uri, closure.digest));
    await rig.database.transaction((tx) =>
      rig.bus.publish(
        tx,
        runs.map(({ message }) => message),
      ),
    );
    await rig.started();
    await Promise.all(runs.map(({ uid }) => rig.events.ended(uid)));
    expect(backend.launches).toHaveLength(3000);
    // Of a run of 100 nodes no more than 400 effects come of its start: what goes beyond the limit is one run's.
    const commits = await rig.rows<{ launches: string }>(
      `SELECT sum(last - first + 1) AS launches FROM bus.messages WHERE topic = 'tasks.commands.local' GROUP BY xmin`,
    );
    expect(Math.max(...commits.map(({ launches }) => Number(launches)))).toBeLessThanOrEqual(400);
    expect(rig.events.problems).toEqual([]);
  });

  it('passes trace context and principal of the start on to launches and events', async () => {
    await open();
    await rig.started();
    const seen: { traceparent: string; principal: string }[] = [];
    for (const topic of ['tasks.commands.local', 'executions.events']) {
      const reader = rig.bus.read({ topic, partition: 0 }, 0n);
      rig.onClose(() => reader.close());
      void reader.next(1).then((batch) => seen.push(batch!.messages[0]!.envelope));
    }
    const run = await rig.start(chain(1));
    await rig.events.ended(run.uid);
    expect(seen).toHaveLength(2);
    for (const { traceparent, principal } of seen) {
      expect(traceparent).toBe('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
      expect(principal).toBe('tester');
    }
  });

  it('C-30, C-33: a recoverable failure is tried again under a new name', async () => {
    const backend = await open((launch, tries) =>
      tries === 0 ? { fail: 'lost', recoverable: true } : { outputs: echoOutputs(launch) },
    );
    await rig.started();
    const run = await rig.start(chain(1, echo('noop', { retries: { retries: 1 } })));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches.map((name) => name.replace(run.name, ''))).toEqual(['-n0-0', '-n0-1']);
  });

  it('C-36: killed for lack of memory at 128Mi, a task passes on its second try at 256Mi, after a wait that is told', async () => {
    const memory: string[] = [];
    await open((launch) => {
      const asked = launch.resources!.limits.find(({ name }) => name === ResourceName.MEMORY)!.value;
      memory.push(asked);
      if (asked === '128Mi') return { fail: 'out of memory', recoverable: true, code: 'OOMKilled' };
      return { outputs: echoOutputs(launch) };
    });
    await rig.started();
    const template = task('hungry', { inputs: ['x'], outputs: ['o0'], container: {} });
    const closure = closureOf('hungry', {
      nodes: [taskNode('n0', template, { x: literalOf.integer(1) })],
      tasks: [template],
      outputs: { o0: 'n0.o0' },
    });
    const run = await rig.start(closure, {
      settings: {
        taskResourceDefaults: { requests: [{ name: ResourceName.MEMORY, value: '128Mi' }] },
        retryPolicy: { delay: { seconds: 0n, nanos: 50_000_000 }, memoryFactor: 2, attempts: 2 },
      },
    });
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(memory).toEqual(['128Mi', '256Mi']);
    const waits = rig.events.of(run.uid).flatMap(({ event }) => (event?.$case === 'wait' ? [event.value] : []));
    expect(waits).toMatchObject([{ nodeId: 'n0', kind: WaitReason_Kind.BACKOFF }]);
  });

  it('C-54: a run that takes longer than it may is aborted and ends TIMED_OUT', async () => {
    const backend = await open(() => 'running');
    await rig.started();
    const run = await rig.start(fanOut(2), { settings: { timeout: { seconds: 1n, nanos: 0 } } });
    expect(await rig.events.ended(run.uid)).toBe(Phase.TIMED_OUT);
    expect(rig.events.result(run.uid)).toMatchObject({ value: { code: 'ExecutionTimeoutExpired' } });
    expect(rig.events.nodePhases(run.uid, 'n1')).toContain(NodePhase.ABORTED);
    await backend.until(({ aborted }) => aborted.length === 2);
  });

  it('a user error fails the run with its message', async () => {
    await open(() => ({ fail: 'no such column' }));
    await rig.started();
    const run = await rig.start(chain(2));
    expect(await rig.events.ended(run.uid)).toBe(Phase.FAILED);
    expect(rig.events.result(run.uid)).toMatchObject({
      $case: 'error',
      value: { message: expect.stringContaining('no such column') },
    });
  });

  it('a launch that cannot be made fails its task with the reason (C-106)', async () => {
    await open();
    await rig.started();
    const template = task('bad', { outputs: ['o0'], container: { args: ['--x', '{{.inputs.nope}}'] } });
    const closure = closureOf('bad', {
      nodes: [taskNode('n0', template)],
      tasks: [template],
      outputs: { o0: 'n0.o0' },
    });
    const run = await rig.start(closure);
    expect(await rig.events.ended(run.uid)).toBe(Phase.FAILED);
    expect(rig.events.result(run.uid)).toMatchObject({
      value: { message: expect.stringContaining("no input 'nope'") },
    });
  });

  it('aborts what runs and ends ABORTED with the cause', async () => {
    const backend = await open(() => 'running');
    await rig.started();
    const run = await rig.start(fanOut(3));
    await backend.until(({ launches }) => launches.length === 3);
    await rig.send(run, { $case: 'abort', value: { cause: 'enough', principal: 'tester' } });
    expect(await rig.events.ended(run.uid)).toBe(Phase.ABORTED);
    expect(rig.events.result(run.uid)).toMatchObject({ value: { message: expect.stringContaining('enough') } });
    await backend.until(({ aborted }) => aborted.length === 3);
  });

  it('C-132: a sleeping run wakes by its timer', async () => {
    const backend = await open();
    await rig.started();
    const template = echo();
    const nodes = [sleepNode('s', 1), taskNode('n0', template, { x: literalOf.integer(1) }, ['s'])];
    const run = await rig.start(closureOf('sleepy', { nodes, tasks: [template] }));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toHaveLength(1);
    expect(await rig.rows('SELECT * FROM timers')).toEqual([]);
  });

  it('C-131, C-133: a signal wakes the run', async () => {
    await open();
    await rig.started();
    const closure = closureOf('gated', { nodes: [signalNode('g', 'go')], tasks: [], outputs: { o0: 'g.o0' } });
    const run = await rig.start(closure);
    await rig.events.until(() => rig.events.of(run.uid).some(({ event }) => event?.$case === 'gateReached'));
    const value = literalOf.integer(7);
    await rig.send(run, { $case: 'signal', value: { signalId: 'go', value, revision: 1n, principal: 'tester' } });
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
  });

  it('an ended run leaves one history object and a tombstone; late messages change nothing', async () => {
    const backend = await open();
    const propeller = await rig.started();
    const run = await rig.start(chain(3));
    await rig.events.ended(run.uid);
    const trimmed = () =>
      rig.rows<{ history_uri: string | null }>('SELECT history_uri FROM runs WHERE uid = $1', [run.uid]);
    let uri: string | null = null;
    while (uri === null) uri = (await trimmed())[0]!.history_uri;
    expect(await rig.rows('SELECT * FROM log')).toEqual([]);
    const history = LogSegment.decode(await rig.blob.store.get(uri));
    expect(history.entries[0]!.input!.input!.$case).toBe('started');
    const id = { org: '', project: 'flytesnacks', domain: 'development', name: run.name };
    expect(await propeller.history(run.uid, id)).toHaveLength(history.entries.length);
    const before = rig.events.of(run.uid).length;
    await backend.report([...backend.launched.values()][0]!.attempt!, TaskPhase.FAILED);
    await rig.send(run, { $case: 'abort', value: { cause: 'late', principal: '' } });
    const other = await rig.start(chain(1));
    await rig.events.ended(other.uid);
    expect(rig.events.of(run.uid)).toHaveLength(before);
  });

  it('a repeated start changes nothing', async () => {
    const backend = await open();
    await rig.started();
    const run = await rig.start(chain(1));
    await rig.events.ended(run.uid);
    await rig.start(chain(1), { uid: run.uid, name: run.name });
    const other = await rig.start(chain(1));
    await rig.events.ended(other.uid);
    expect(backend.launches).toHaveLength(2);
  });

  it('pages an idle run out and in again with what it needs', async () => {
    const backend = await open(() => 'running', { config: { memory: { idleMs: 1000, maxIdleRuns: 1 } } });
    const propeller = await rig.started();
    const run = await rig.start(chain(2));
    await backend.until(({ launches }) => launches.length === 1);
    while (propeller.status().runsInMemory > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await rig.rows('SELECT run_uid FROM snapshots')).toHaveLength(1);
    const first = [...backend.launched.values()][0]!;
    await backend.succeed(first.attempt!, { o0: literalOf.integer(5) });
    await backend.until(({ launches }) => launches.length === 2);
    const second = [...backend.launched.values()][1]!;
    await backend.succeed(second.attempt!, echoOutputs(second));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(rig.events.nodePhases(run.uid, 'n1')).toContain(NodePhase.SUCCEEDED);
    expect(rig.events.problems).toEqual([]);
  });

  it('holds no more waiting runs than it should, however recent they are', async () => {
    await open(() => 'running', { config: { memory: { idleMs: 3_600_000, maxIdleRuns: 5 } } });
    const propeller = await rig.started();
    const waiting = closureOf('waiting', { nodes: [signalNode('g', 'go')], tasks: [], outputs: { o0: 'g.o0' } });
    const first = await rig.start(waiting);
    for (let i = 0; i < 20; i++) await rig.start(waiting);
    // What begins makes others leave.
    for (let i = 0; i === 0 || propeller.status().runsInMemory > 10; i++) {
      await rig.start(waiting);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const value = literalOf.integer(1);
    await rig.send(first, { $case: 'signal', value: { signalId: 'go', value, revision: 1n, principal: 'tester' } });
    expect(await rig.events.ended(first.uid)).toBe(Phase.SUCCEEDED);
    expect(rig.events.problems).toEqual([]);
  });
});
