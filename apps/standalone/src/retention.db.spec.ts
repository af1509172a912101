import { executionPrefix } from '@aloft/engine';
import type { AloftError } from '@aloft/errors';
import { DueRun_Action, Erasure_State, LegalHold, RetentionPolicy } from '@aloft/idl/aloft/v1/retention';
import { ExecutionState } from '@aloft/idl/flyteidl/admin/execution';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { endOf, executionOf, startRun } from './testing/follow.js';
import { succeeds } from './testing/scripted-backend.js';
import { startServices, type Services } from './testing/services.js';
import { childNode, domain, project, registerTask, registerWorkflow, taskNode } from './testing/workflows.js';

// Real: admin, catalog, propeller, Postgres, bus, blob folder, gRPC, REST. Scripted: the backend host.
let services: Services;
beforeAll(async () => {
  services = await startServices();
  await registerTask(services, 'step', { cached: true });
  await registerWorkflow(services, 'work', [taskNode('a', 'step'), taskNode('b', 'step', 'a')], { output: 'b' });
  await registerWorkflow(services, 'parent', [childNode('c', 'work')], { output: 'c' });
  // As a task does that writes a file, and a host that keeps its output.
  services.backend.script = (launch) => [{ phase: Phase.RUNNING }, succeeds(launch, 5)];
});
afterAll(() => services.stop());

/** A run that has ended, with files of its nodes. */
async function endedRun(name: string, plan = 'work', spec: Record<string, unknown> = {}) {
  await startRun(services, plan, name, spec);
  expect(await endOf(services, name)).toBe('SUCCEEDED');
  await services.caughtUp();
  const { rows } = await services.database.query<{ uid: string }>('SELECT uid FROM executions WHERE name = $1', [name]);
  const uid = rows[0]!.uid;
  await archived(uid);
  return uid;
}

/** Files as a task and its host leave them, of an attempt that was launched. */
async function leaveFiles(nodeId: string): Promise<{ raw: string; log: string }> {
  const launch = await services.backend.launchOf(nodeId);
  const raw = `${launch.rawOutputPrefix}/model.bin`;
  const log = `${launch.outputPrefix}/output.log`;
  await services.blob.put(raw, Buffer.alloc(100));
  await services.blob.put(log, Buffer.from('said'));
  return { raw, log };
}

async function archived(uid: string): Promise<string> {
  for (;;) {
    const { rows } = await services.propellerDatabase.query<{ history_uri: string | null }>(
      'SELECT history_uri FROM runs WHERE uid = $1',
      [uid],
    );
    if (rows[0]?.history_uri) return rows[0].history_uri;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const erase = (name: string, more: { dryRun?: boolean; uid?: string } = {}) =>
  services.retention.eraseExecution({ id: executionOf(name), uid: '', dryRun: false, reason: 'asked for', ...more });

async function refused(call: Promise<unknown>, code: string, mentions: string): Promise<void> {
  const error = await call.then(
    () => Promise.reject(new Error('the call was accepted')),
    (thrown: AloftError) => thrown,
  );
  expect({ code: error.code, message: error.message }).toEqual({ code, message: expect.stringContaining(mentions) });
}

async function objectsUnder(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { uri } of services.blob.list(prefix)) found.push(uri);
  return found;
}

async function artifactsOf(name: string): Promise<number> {
  const { rows } = await services.catalogDatabase.query<{ n: number }>(
    `SELECT count(*)::integer AS n FROM artifacts WHERE metadata->>'execution-name' = $1`,
    [name],
  );
  return rows[0]!.n;
}

test('U-8: an erased run is gone everywhere, the receipt says what went, the name is free again', async () => {
  const uid = await endedRun('gone', 'work', { overwriteCache: true });
  const { raw, log } = await leaveFiles('a');
  const neighbour = await endedRun('neighbour');
  expect(await artifactsOf('gone')).toBe(2);

  const preview = await erase('gone', { dryRun: true });
  expect(preview.erasures).toMatchObject([{ state: Erasure_State.PREVIEW, executionUid: uid, problem: '' }]);
  expect(await services.blob.head(raw)).toBeDefined();

  const { erasures } = await erase('gone');
  expect(erasures).toMatchObject([
    { state: Erasure_State.DONE, executionUid: uid, reason: 'asked for', removed: preview.erasures[0]!.removed },
  ]);
  const { removed } = erasures[0]!;
  expect(removed).toMatchObject({ cacheEntryCount: 2n, left: [] });
  expect(removed!.cacheEntries).toHaveLength(2);
  expect(removed!.bytes).toBeGreaterThanOrEqual(104n);
  expect(removed!.rows).toBeGreaterThan(4n);
  expect(removed!.historyBytes).toBeGreaterThan(0n);

  await refused(services.admin.getExecution({ id: executionOf('gone') }), 'NOT_FOUND', 'gone');
  expect(await services.blob.head(raw)).toBeUndefined();
  expect(await services.blob.head(log)).toBeUndefined();
  expect(await objectsUnder(`${executionPrefix(executionOf('gone'))}/`)).toEqual([]);
  expect(await artifactsOf('gone')).toBe(0);
  for (const table of ['log', 'snapshots', 'timers']) {
    const { rows } = await services.propellerDatabase.query(`SELECT 1 FROM ${table} WHERE run_uid = $1`, [uid]);
    expect(rows).toEqual([]);
  }
  // The other run's history is whole, wherever it lay.
  await archived(neighbour);
  expect(await services.history.replayExecution({ id: executionOf('neighbour') })).toMatchObject({ differences: [] });

  // Asked again: the same receipt. The name again: another run, which stays.
  expect(await erase('gone')).toMatchObject({ erasures, repeatedRequest: true });
  const second = await endedRun('gone');
  expect(second).not.toBe(uid);
  expect(await erase('gone', { uid })).toMatchObject({ erasures, repeatedRequest: true });
  expect((await services.admin.getExecution({ id: executionOf('gone') })).id).toMatchObject({ name: 'gone' });
  expect((await services.retention.getErasure({ id: erasures[0]!.id })).executionUid).toBe(uid);
});

test('decision 0071: histories that share an object: one becomes a hole, the others stay, the last takes the object with it', async () => {
  const names = ['packed-1', 'packed-2', 'packed-3'];
  await Promise.all(names.map((name) => startRun(services, 'work', name)));
  const uids = await Promise.all(
    names.map(async (name) => {
      await endOf(services, name);
      const { rows } = await services.database.query<{ uid: string }>('SELECT uid FROM executions WHERE name = $1', [
        name,
      ]);
      return rows[0]!.uid;
    }),
  );
  const places = await Promise.all(uids.map(archived));
  const pack = places.find((uri) => uri.includes('#'))?.replace(/#.*/, '');
  // Those that ended in one moment; which they are is up to the clock.
  const inPack = names.filter((_name, i) => pack !== undefined && places[i]!.startsWith(pack));
  for (const name of names) await erase(name);
  for (const name of names.filter((other) => !inPack.includes(other)))
    await refused(services.history.replayExecution({ id: executionOf(name) }), 'NOT_FOUND', name);
  for (const uri of places) expect(await services.blob.head(uri.replace(/#.*/, ''))).toBeUndefined();
});

test('children go with the run whose node started them, each with a receipt of its own', async () => {
  await endedRun('family', 'parent');
  const { rows } = await services.database.query<{ name: string; uid: string }>(
    `SELECT c.name, c.uid FROM executions c JOIN executions p ON p.id = c.parent_execution_id WHERE p.name = 'family'`,
  );
  const [child] = rows;
  await archived(child!.uid);
  const { erasures } = await erase('family');
  expect(erasures.map(({ execution, state }) => [execution?.name, state])).toEqual([
    ['family', Erasure_State.DONE],
    [child!.name, Erasure_State.DONE],
  ]);
  expect(erasures[1]!.parentId).toBe(erasures[0]!.id);
  await refused(services.admin.getExecution({ id: executionOf(child!.name) }), 'NOT_FOUND', child!.name);
});

test('what failed half way goes on where it was left, and the receipt counts everything', async () => {
  await endedRun('half', 'work', { overwriteCache: true });
  const { removed } = (await erase('half', { dryRun: true })).erasures[0]!;
  // Results and files go, the history can't.
  await services.propellerDatabase.query('ALTER TABLE child_aborts RENAME TO away');
  const { erasures } = await erase('half');
  expect(erasures).toMatchObject([{ state: Erasure_State.RUNNING, problem: expect.stringContaining('child_aborts') }]);
  expect(await artifactsOf('half')).toBe(0);
  expect((await services.admin.getExecution({ id: executionOf('half') })).id?.name).toBe('half');
  await services.propellerDatabase.query('ALTER TABLE away RENAME TO child_aborts');
  const again = await erase('half');
  expect(again).toMatchObject({
    repeatedRequest: true,
    erasures: [{ state: Erasure_State.DONE, removed, problem: '' }],
  });
  await refused(services.admin.getExecution({ id: executionOf('half') }), 'NOT_FOUND', 'half');
});

test('what has not ended is refused; what is held is refused, and no policy passes it', async () => {
  const { retention } = services;
  services.backend.script = () => [{ phase: Phase.RUNNING }];
  await startRun(services, 'work', 'going', { overwriteCache: true });
  await refused(erase('going'), 'FAILED_PRECONDITION', 'terminate it first');
  expect((await erase('going', { dryRun: true })).erasures[0]!.problem).toContain('terminate it first');
  await services.admin.terminateExecution({ id: executionOf('going'), cause: 'test' });
  expect(await endOf(services, 'going')).toBe('ABORTED');
  services.backend.script = (launch) => [{ phase: Phase.RUNNING }, succeeds(launch, 5)];

  await endedRun('held', 'work', { labels: { values: { case: 'c-7' } } });
  await endedRun('free', 'work', { labels: { values: { team: 'ml' } } });
  const hold = (more: object) =>
    retention.setLegalHold({ hold: LegalHold.fromPartial({ id: 'c-7', reason: 'court', ...more }) });
  await hold({ scope: { project, domain, labelKey: 'case', labelValue: 'c-7' } });
  await refused(hold({ scope: { project } }), 'FAILED_PRECONDITION', 'remove it first');
  await refused(erase('held'), 'FAILED_PRECONDITION', 'legal hold c-7');
  await refused(hold({ id: 'x', scope: { project, domain }, execution: 'nosuch' }), 'NOT_FOUND', 'nosuch');

  const policy = RetentionPolicy.fromPartial({
    scope: { project, domain },
    archiveAfter: { seconds: 0n },
    eraseAfter: { seconds: 86_400n },
  });
  const { runs } = await retention.previewRetention({ org: '', policy, limit: 0 });
  const of = (name: string) => runs.find(({ id }) => id?.name === name);
  expect(of('held')).toMatchObject({ action: DueRun_Action.ARCHIVE, heldBy: 'c-7' });
  expect(of('free')).toMatchObject({ action: DueRun_Action.ARCHIVE, heldBy: '', policy: { project, domain } });

  // The label's policy alone decides for its runs, though the other keeps them.
  const byLabel = { scope: { project, domain, labelKey: 'team', labelValue: 'ml' }, eraseAfter: { seconds: 0n } };
  await retention.setRetentionPolicy({ policy: RetentionPolicy.fromPartial(byLabel) });
  await retention.setRetentionPolicy({ policy });
  await until(async () => (await states()).free === undefined && (await states()).going === 1);
  expect(await states()).toMatchObject({ held: ExecutionState.EXECUTION_ACTIVE });
  const { erasures } = await retention.listErasures({ org: '', project, domain, name: 'free', limit: 5, token: '' });
  expect(erasures).toMatchObject([{ principal: 'retention', reason: expect.stringContaining('team=ml') }]);

  await retention.removeLegalHold({ org: '', id: 'c-7' });
  await until(async () => (await states()).held === ExecutionState.EXECUTION_ARCHIVED);
  for (const { scope } of (await retention.listRetentionPolicies({ org: '', project })).policies)
    await retention.deleteRetentionPolicy({ scope });
  await refused(retention.getRetentionPolicy({ scope: policy.scope }), 'NOT_FOUND', project);
});

/** State of each run that there is, by name. */
async function states(): Promise<Record<string, number>> {
  const { rows } = await services.database.query<{ name: string; state: number }>('SELECT name, state FROM executions');
  return Object.fromEntries(rows.map(({ name, state }) => [name, state]));
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
