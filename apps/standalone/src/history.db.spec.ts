import type { HistoryEntry, ReplayExecutionResponse } from '@aloft/idl/aloft/v1/history';
import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as Phase,
  WorkflowExecution_Phase as RunPhase,
  ExecutionError_ErrorKind as ErrorKind,
} from '@aloft/idl/flyteidl/core/execution';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { randomOf, registerRandom } from './testing/random-workflow.js';
import { endOf, eventOf, executionOf, startRun } from './testing/follow.js';
import { succeeds } from './testing/scripted-backend.js';
import { startServices, type Services } from './testing/services.js';
import { approveNode, domain, project, registerTask, registerWorkflow, taskNode } from './testing/workflows.js';

// Real: admin, catalog, propeller, Postgres, bus, blob folder, gRPC, REST. Scripted: the backend host.
let services: Services;
beforeAll(async () => {
  // Snapshots early, so that there are some to compare.
  services = await startServices({
    commit: { snapshotMinLogBytes: 1 },
    cache: { reservedRetryMs: 50, heartbeatMs: 500 },
  });
  await registerTask(services, 'step', { retries: 1 });
});
afterAll(() => services.stop());

const failure = (message: string, retryable: boolean) => ({
  phase: retryable ? Phase.RETRYABLE_FAILED : Phase.FAILED,
  outcome: { result: { $case: 'error' as const, value: { code: 'Scripted', message, kind: ErrorKind.USER } } },
});
const replay = (name: string): Promise<ReplayExecutionResponse> =>
  services.history.replayExecution({ id: executionOf(name) });

async function history(name: string, more: object = {}): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  const request = { id: executionOf(name), firstEntry: 0n, limit: 0n, entriesOnly: false, ...more };
  for await (const entry of services.history.streamHistory(request)) entries.push(entry);
  return entries;
}

/** A run of two tasks with an approval between them, which waits for it. */
async function waitingRun(name: string): Promise<void> {
  await registerWorkflow(
    services,
    name,
    [taskNode('a', 'step'), approveNode('ask', 'ok', ['a']), taskNode('b', 'step', 'a', ['ask'])],
    { output: 'b' },
  );
  services.backend.script = (launch) => [{ phase: Phase.RUNNING }, succeeds(launch)];
  await startRun(services, name, name);
  await eventOf(services, name, ({ event, waiting }) =>
    event?.$case === 'gateReached' ? true : waiting?.nodeId === 'ask',
  );
}

const approve = async (name: string): Promise<void> => {
  const { literalOf } = await import('@aloft/literals');
  await services.signals.setSignal({
    id: { signalId: 'ok', executionId: executionOf(name) },
    value: literalOf.boolean(true),
  });
};

describe('X-3: the log of a run', () => {
  test('is told entry by entry with what each caused, while the run goes on and after its end', async () => {
    await waitingRun('told');
    const live = await history('told');
    expect(live.map(({ number }) => number)).toEqual(live.map((_, at) => BigInt(at + 1)));
    expect(live[0]).toMatchObject({
      input: { input: { $case: 'started' } },
      summary: expect.stringContaining('started by'),
      behaviourFlags: expect.any(BigInt),
      effects: [{ kind: 'launch', detail: 'a attempt 0 as told-a-0' }],
    });
    expect(live[0]!.behaviourFlags & (1n << 16n)).toBe(1n << 16n);
    const sequences = live.flatMap(({ events }) => events.map(({ sequence }) => sequence));
    expect(sequences).toEqual(sequences.map((_, at) => BigInt(at + 1)));
    await approve('told');
    expect(await endOf(services, 'told')).toBe('SUCCEEDED');
    const all = await history('told');
    expect(all.slice(0, live.length)).toEqual(live);
    expect(all.some(({ summary }) => summary === 'signal ok set by nobody in particular')).toBe(true);
    expect(all.at(-1)!.effects.map(({ kind }) => kind)).toContain('ended');
  });

  test('is paged, and streamed over REST', async () => {
    const all = await history('told');
    expect(await history('told', { firstEntry: 2n, limit: 2n })).toEqual(all.slice(1, 3));
    const bare = await history('told', { firstEntry: 2n, limit: 2n, entriesOnly: true });
    expect(bare).toEqual(all.slice(1, 3).map((entry) => ({ ...entry, events: [], effects: [] })));
    expect(await history('told', { firstEntry: BigInt(all.length) + 5n, entriesOnly: true })).toEqual([]);
    const response = await fetch(`${services.httpUrl}/api/v1/history/${project}/${domain}/told`);
    const lines = (await response.text()).trim().split('\n');
    expect(lines).toHaveLength(all.length);
    expect(lines[0]).toContain('"summary"');
  });

  test('of an unknown run is NOT_FOUND', async () => {
    await expect(history('never')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(replay('never')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('X-3: time travel', () => {
  test('shows the run as it was after any entry, and at any time', async () => {
    await waitingRun('travelled');
    await approve('travelled');
    await endOf(services, 'travelled');
    const entries = await history('travelled');
    const at = (moment: { $case: 'entry'; value: bigint } | { $case: 'time'; value: HistoryEntry['time'] }) =>
      services.history.getExecutionAt({ id: executionOf('travelled'), moment: moment as never });
    const asked = entries.find(({ events }) => events.some(({ event }) => event?.$case === 'gateReached'))!;
    const then = await at({ $case: 'entry', value: asked.number });
    const phases = (answer: typeof then) =>
      Object.fromEntries(answer.snapshot!.nodes.map(({ id, closure }) => [id!.nodeId, NodePhase[closure!.phase]]));
    expect(phases(then)).toEqual({ 'start-node': 'SUCCEEDED', a: 'SUCCEEDED', ask: 'RUNNING' });
    expect(then.snapshot!.execution!.closure!.phase).toBe(RunPhase.RUNNING);
    expect(then.snapshot!.waits).toMatchObject([{ nodeId: 'ask', detail: 'waiting for approval "ok"' }]);
    expect(then).toMatchObject({ entry: asked.number, entries: BigInt(entries.length), entryTime: asked.time });
    expect(await at({ $case: 'time', value: asked.time })).toEqual(then);
    const before = await at({ $case: 'time', value: { seconds: 1n, nanos: 0 } });
    expect(before).toMatchObject({ entry: 0n, snapshot: { nodes: [], sequence: 0n } });
    const response = await fetch(
      `${services.httpUrl}/api/v1/history/${project}/${domain}/travelled/at?entry=${asked.number}`,
    );
    expect(await response.json()).toMatchObject({
      entry: String(asked.number),
      snapshot: { waits: [{ node_id: 'ask' }] },
    });
    const last = await at({ $case: 'entry', value: 1_000_000n });
    const now = await services.admin.getExecution({ id: executionOf('travelled') });
    expect(last.snapshot!.execution).toEqual(now);
  });
});

describe('X-3: replay', () => {
  test('is equal at every moment of a run: snapshot, row and read model', async () => {
    await waitingRun('replayed');
    const live = await replay('replayed');
    expect(live).toMatchObject({ equal: true, differences: [], snapshotCompared: true, phase: RunPhase.RUNNING });
    expect(live.nodes).toBe(3n);
    await approve('replayed');
    await endOf(services, 'replayed');
    const response = await fetch(`${services.httpUrl}/api/v1/history/${project}/${domain}/replayed/replay`);
    expect(await response.json()).toMatchObject({ equal: true });
    expect(await replay('replayed')).toMatchObject({
      equal: true,
      differences: [],
      phase: RunPhase.SUCCEEDED,
      nodes: 5n,
      tasks: 2n,
    });
  });

  test('finds and names what drifted: a node, an attempt, the run, a row too few, a row too many', async () => {
    await waitingRun('drifted');
    await approve('drifted');
    await endOf(services, 'drifted');
    const change = (sql: string) =>
      services.database.query(sql.replaceAll('$run', `(SELECT id FROM executions WHERE name = 'drifted')`));
    await change(`UPDATE node_executions SET phase = 'FAILED' WHERE execution_id = $run AND node_id = 'a'`);
    await change(`UPDATE task_executions SET outputs = NULL WHERE execution_id = $run AND node_id = 'b'`);
    await change(`DELETE FROM node_executions WHERE execution_id = $run AND node_id = 'ask'`);
    await change(`INSERT INTO node_executions (execution_id, node_id, spec_node_id, phase, closure, metadata, is_parent, is_dynamic,
        is_array, created_at, updated_at)
      SELECT execution_id, 'ghost', 'ghost', phase, closure, metadata, is_parent, is_dynamic, is_array, created_at, updated_at
      FROM node_executions WHERE execution_id = $run AND node_id = 'b'`);
    await change(`UPDATE executions SET phase = 'ABORTED' WHERE id = $run`);
    const { equal, differences } = await replay('drifted');
    expect(equal).toBe(false);
    const told = differences.map(
      ({ where, what, field, derived, stored }) => `${where}: ${what} ${field}: ${derived} / ${stored}`,
    );
    expect(told).toEqual([
      'read model: execution phase: SUCCEEDED / ABORTED',
      'read model: node a phase: SUCCEEDED / FAILED',
      'read model: node ghost : no such node / SUCCEEDED',
      expect.stringMatching(/^read model: task b attempt 0 outputs: \d+ bytes .* \/ \(absent\)$/),
      'read model: node ask : SUCCEEDED / no such node',
    ]);
  });

  test('finds a snapshot and a row of the propeller that are not what the log says', async () => {
    await waitingRun('broken');
    await waitingRun('other');
    const uid = async (name: string) =>
      (await services.propellerDatabase.query<{ uid: string }>('SELECT uid FROM runs WHERE name = $1', [name])).rows[0]!
        .uid;
    await services.propellerDatabase.query(
      `UPDATE snapshots s SET state = o.state, graphs = o.graphs FROM snapshots o WHERE s.run_uid = $1 AND o.run_uid = $2`,
      [await uid('broken'), await uid('other')],
    );
    await services.propellerDatabase.query('UPDATE runs SET phase = $2 WHERE uid = $1', [
      await uid('broken'),
      RunPhase.FAILED,
    ]);
    const { differences } = await replay('broken');
    expect(new Set(differences.map(({ where }) => where))).toEqual(new Set(['snapshot', 'run']));
    expect(differences).toContainEqual(expect.objectContaining({ where: 'run', derived: 'RUNNING', stored: 'FAILED' }));
  });

  // ALOFT_TEST_SEED repeats a failure.
  const seeds = [Number(process.env.ALOFT_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))];
  test.each(seeds)(
    'is equal for random runs of seed %i, whatever became of them',
    async (seed) => {
      const random = randomOf(seed);
      await registerTask(services, 'cached', { cached: true, retries: 1 });
      await registerWorkflow(services, 'leaf', [taskNode('l0', 'step')], { output: 'l0' });
      const tries = new Map<string, number>();
      services.backend.script = (launch: LaunchTask) => {
        const { executionUid, nodeId, retryAttempt } = launch.attempt!;
        tries.set(`${executionUid}/${nodeId}`, retryAttempt);
        const fate = random(12);
        const begin = fate % 2 === 0 ? [{ phase: Phase.WAITING_FOR_RESOURCES, reason: 'no room' }] : [];
        if (fate === 1) return [...begin, failure('it broke', false)];
        if (fate < 4) return [...begin, { phase: Phase.RUNNING }, failure('try again', true)];
        return [...begin, { phase: Phase.RUNNING }, succeeds(launch, random(100))];
      };
      const names = Array.from({ length: 12 }, (_, at) => `random-${at}`);
      for (const name of names) {
        const maxParallelism = await registerRandom(services, name, random(2 ** 31), {
          tasks: ['step', 'cached'],
          plans: ['leaf'],
        });
        await startRun(services, name, name, { maxParallelism });
        if (random(6) === 0) await services.admin.terminateExecution({ id: executionOf(name), cause: 'at random' });
      }
      const ends = await Promise.all(names.map((name) => endOf(services, name)));
      const answers = await Promise.all(names.map(replay));
      const unequal = answers.flatMap(({ differences }, at) =>
        differences.map((difference) => ({ seed, run: names[at], ended: ends[at], ...difference })),
      );
      expect(unequal).toEqual([]);
      expect(answers.every(({ equal, events }) => equal && events > 0n)).toBe(true);
    },
    120_000,
  );
});
