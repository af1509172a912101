import { AloftError } from '@aloft/errors';
import { WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import { DynamicJobSpec } from '@aloft/idl/flyteidl/core/dynamic_job';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { ExecutionMetadata_ExecutionMode as Mode } from '@aloft/idl/flyteidl/admin/execution';
import { literalOf } from '@aloft/literals';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FakeAdmin } from '../testing/fake-admin.js';
import { FakeCatalog } from '../testing/fake-catalog.js';
import { Rig, type StartedRun } from '../testing/rig.js';
import { echoOutputs, ScriptedBackend, type Script } from '../testing/scripted-backend.js';
import { bind, chain, childNode, closureOf, echo, idOf, integer, task, taskNode } from '../testing/workflows.js';

// Real: Postgres, the bus, engine, gRPC. In memory: catalog and admin behind their real interfaces; the backend host.
describe('what runs ask of catalog, admin and blob storage', () => {
  let rig: Rig;
  let catalog: FakeCatalog;
  let admin: FakeAdmin;
  let script: Script;
  let backend: ScriptedBackend;

  beforeEach(async () => {
    rig = await Rig.open({ config: { cache: { reservedRetryMs: 50 } } });
    rig.catalog = (catalog = await FakeCatalog.open()).client;
    rig.admin = (admin = await FakeAdmin.open()).client;
    script = (launch) => ({ outputs: echoOutputs(launch) });
    backend = new ScriptedBackend(rig.bus, (launch, tries) => script(launch, tries));
    rig.onClose(() => Promise.all([backend.close(), catalog.close(), admin.close()]));
    await rig.started();
  });

  afterEach(() => rig.close());

  const cached = (serialised = false) =>
    echo('noop', { discoverable: true, discoveryVersion: '1.0', cacheSerializable: serialised });

  const cacheStatuses = (run: StartedRun): CatalogCacheStatus[] =>
    rig.events.of(run.uid).flatMap(({ event }) => {
      const target =
        event?.$case === 'node' && event.value.id?.nodeId === 'n0' ? event.value.targetMetadata : undefined;
      return target?.$case === 'taskNodeMetadata' ? [target.value.cacheStatus] : [];
    });

  it('C-90, C-92: the first run fills the catalog under Flyte’s keys, the second takes the result from it', async () => {
    const first = await rig.start(chain(1, cached()));
    expect(await rig.events.ended(first.uid)).toBe(Phase.SUCCEEDED);
    expect([...catalog.datasets.keys()][0]).toMatch(
      /^flytesnacks\/development\/flyte_task-echo\/1\.0-[\w-]{8}-[\w-]{8}$/,
    );
    expect([...catalog.tags.keys()][0]).toMatch(/#flyte_cached-[\w-]{43}$/);
    const [artifact] = [...catalog.artifacts.values()];
    expect(artifact!.metadata!.keyMap).toEqual({
      'exec-project': 'flytesnacks',
      'exec-domain': 'development',
      'execution-name': first.name,
      'exec-node': 'n0',
      'exec-attempt': '0',
    });
    expect(cacheStatuses(first)).toContain(CatalogCacheStatus.CACHE_POPULATED);

    const second = await rig.start(chain(1, cached()));
    expect(await rig.events.ended(second.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toHaveLength(1);
    expect(cacheStatuses(second)).toContain(CatalogCacheStatus.CACHE_HIT);
    expect(rig.events.result(second.uid)).toMatchObject({ value: { literals: { o0: literalOf.integer(1) } } });
  });

  it('C-93: a catalog that is down fails no node', async () => {
    catalog.down = true;
    const run = await rig.start(chain(1, cached()));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(cacheStatuses(run)).toContain(CatalogCacheStatus.CACHE_PUT_FAILURE);
    expect(backend.launches).toHaveLength(1);
  });

  it('C-94: overwriting skips the look-up and updates the entry', async () => {
    const first = await rig.start(chain(1, cached()));
    await rig.events.ended(first.uid);
    catalog.calls.length = 0;
    const second = await rig.start(chain(1, cached()), { settings: { overwriteCache: true } });
    expect(await rig.events.ended(second.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toHaveLength(2);
    expect(catalog.calls).toContain('updateArtifact');
    expect(catalog.calls).not.toContain('getArtifact');
  });

  it('C-95: of two runs of one serialised task one executes, the other ends with a hit', async () => {
    const waiting: (() => void)[] = [];
    script = async (launch) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return { outputs: echoOutputs(launch) };
    };
    const runs = [await rig.start(chain(1, cached(true))), await rig.start(chain(1, cached(true)))];
    await backend.until(({ launches }) => launches.length === 1);
    expect(await rig.rows('SELECT attempt FROM reservations')).toHaveLength(1);
    waiting[0]!();
    for (const { uid } of runs) expect(await rig.events.ended(uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toHaveLength(1);
    await catalog.untilReleased(1);
    expect(catalog.released).toHaveLength(1);
    expect(await rig.rows('SELECT attempt FROM reservations')).toEqual([]);
  });

  it('C-95: a reservation’s row goes in the commit in which its node ends, so that no later owner keeps it up', async () => {
    await rig.rows('CREATE TABLE kept (reservations int)');
    await rig.rows(`CREATE FUNCTION note_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.ended_at IS NOT NULL THEN INSERT INTO kept SELECT count(*) FROM reservations; END IF;
      RETURN NULL; END $$`);
    // At the end of the transaction, whatever the order of its statements.
    await rig.rows(`CREATE CONSTRAINT TRIGGER note_kept AFTER UPDATE ON runs DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION note_kept()`);
    const run = await rig.start(chain(1, cached(true)));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect((await rig.rows('SELECT reservations FROM kept'))[0]).toEqual({ reservations: 0 });
  });

  it('C-95, C-98: the reservation of an owner that died is taken over when it expires; until then the node says for whom it waits', async () => {
    catalog.dead = { ownerId: 'p/d/dead-n0-0', forMs: 500 };
    const run = await rig.start(chain(1, cached(true)));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(Date.now()).toBeGreaterThanOrEqual(catalog.dead.expiresAt!);
    expect(backend.launches).toHaveLength(1);
    const waits = rig.events.of(run.uid).flatMap(({ event }) => (event?.$case === 'wait' ? [event.value] : []));
    expect(waits.map(({ kind }) => kind)).toEqual([WaitReason_Kind.RESERVATION]);
    expect(waits[0]!.detail).toContain('p/d/dead-n0-0');
    expect(cacheStatuses(run)).toContain(CatalogCacheStatus.CACHE_POPULATED);
  });

  it('C-95: a reservation that is granted after its node was aborted is given back', async () => {
    let grant!: () => void;
    const asked = new Promise<void>((resolve) => {
      catalog.beforeReserve = () => {
        resolve();
        return new Promise((granted) => (grant = granted));
      };
    });
    const run = await rig.start(chain(1, cached(true)));
    await asked;
    await rig.send(run, { $case: 'abort', value: { cause: 'changed my mind', principal: '' } });
    expect(await rig.events.ended(run.uid)).toBe(Phase.ABORTED);
    await catalog.untilReleased(1);
    grant();
    await catalog.untilReleased(2);
    expect(catalog.reservations.size).toBe(0);
    expect(await rig.rows('SELECT attempt FROM reservations')).toEqual([]);
  });

  const launchPlan = idOf('child', ResourceType.LAUNCH_PLAN);
  const parent = () =>
    closureOf('parent', {
      nodes: [childNode('n0', launchPlan)],
      tasks: [],
      outputs: { o0: 'n0.o0' },
      launchPlans: [
        {
          id: launchPlan,
          expectedInputs: undefined,
          expectedOutputs: {
            variables: { o0: { type: integer, description: '', artifactPartialId: undefined, artifactTag: undefined } },
          },
        },
      ],
    });

  /** What admin does with a request to create a child: it tells the propeller to start it. */
  const startChildren = () => {
    admin.onCreate = async (request) => {
      const { parentNodeExecution } = request.spec!.metadata!;
      const [row] = await rig.rows<{ uid: string }>('SELECT uid FROM runs WHERE name = $1', [
        parentNodeExecution!.executionId!.name,
      ]);
      await rig.start(chain(1), {
        name: request.name,
        start: {
          parent: {
            execution: parentNodeExecution!.executionId!,
            executionUid: row!.uid,
            nodeId: parentNodeExecution!.nodeId,
          },
        },
      });
    };
  };

  it('C-13: a child runs under a derived name, and its end reaches the parent over the bus', async () => {
    startChildren();
    const run = await rig.start(parent());
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    const [request] = [...admin.created.values()];
    expect(request!.spec!.metadata).toMatchObject({
      mode: Mode.CHILD_WORKFLOW,
      nesting: 1,
      parentNodeExecution: { nodeId: 'n0', executionId: { name: run.name } },
    });
    expect(admin.asked[0]!.attempt).toBe('0');
    expect(rig.events.result(run.uid)).toMatchObject({ value: { literals: { o0: literalOf.integer(1) } } });
  });

  it('C-13: failures of the system are tried again, a repeated creation counts as the same child', async () => {
    startChildren();
    admin.failures.push(
      new AloftError('UNAVAILABLE', 'starting'),
      new AloftError('INTERNAL', 'oops'),
      new AloftError('DEADLINE_EXCEEDED', 'slow'),
    );
    const run = await rig.start(parent());
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(admin.asked).toHaveLength(4);
  });

  it('C-13: a name taken by somebody else’s execution is the user’s error', async () => {
    admin.failures.push(new AloftError('ALREADY_EXISTS', 'taken'));
    const run = await rig.start(parent(), { name: 'shorty' });
    admin.created.set('shorty-n0-0', {
      project: '',
      domain: '',
      name: '',
      spec: undefined,
      inputs: undefined,
      org: '',
    });
    expect(await rig.events.ended(run.uid)).toBe(Phase.FAILED);
    expect(rig.events.result(run.uid)).toMatchObject({
      value: { message: expect.stringContaining('is not a child of node n0') },
    });
  });

  it('C-13: an aborted parent stops its child with the cause', async () => {
    const run = await rig.start(parent());
    while (admin.created.size === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await rig.events.until(() => rig.events.nodePhases(run.uid, 'n0').length > 1);
    await rig.send(run, { $case: 'abort', value: { cause: 'changed my mind', principal: '' } });
    while (admin.terminated.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(admin.terminated[0]).toMatchObject({
      id: { name: [...admin.created.keys()][0] },
      cause: expect.stringContaining('changed my mind'),
    });
    while ((await rig.rows('SELECT * FROM child_aborts')).length > 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
  });

  const dynamic = task('dynamic', { type: 'python-task', outputs: ['o0'] });
  const withDynamic = () =>
    closureOf('with-dynamic', { nodes: [taskNode('n0', dynamic)], tasks: [dynamic], outputs: { o0: 'n0.o0' } });

  async function futures(spec: Parameters<typeof DynamicJobSpec.fromPartial>[0]): Promise<string> {
    const uri = 's3://aloft/test/futures.pb';
    await rig.blob.store.put(uri, DynamicJobSpec.encode(DynamicJobSpec.fromPartial(spec)).finish());
    return uri;
  }

  it('C-150, C-151: a generated workflow is compiled, stored by digest and run, with tasks fetched from admin', async () => {
    const generated = echo();
    const referenced = task('referenced', { type: 'noop', inputs: ['x'], outputs: ['o0'] });
    admin.tasks.set('referenced', referenced);
    const futuresUri = await futures({
      nodes: [taskNode('dn0', generated, { x: literalOf.integer(3) }), taskNode('dn1', referenced, { x: 'dn0.o0' })],
      tasks: [generated],
      outputs: bind({ o0: 'dn1.o0' }),
    });
    script = (launch) => (launch.attempt!.nodeId === 'n0' ? { futuresUri } : { outputs: echoOutputs(launch) });
    const run = await rig.start(withDynamic());
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(rig.events.result(run.uid)).toMatchObject({ value: { literals: { o0: literalOf.integer(3) } } });
    expect([...backend.launched.values()].map(({ attempt }) => attempt!.nodeId)).toEqual([
      'n0',
      'n0-0-dn0',
      'n0-0-dn1',
    ]);
  });

  it('C-152: a generated workflow that cannot be built is the user’s error, and names the reason', async () => {
    const generated = echo();
    const nodes = [taskNode('dn0', generated, { x: 'dn9.o0' })];
    const futuresUri = await futures({ nodes, tasks: [generated], outputs: bind({ o0: 'dn0.o0' }) });
    script = () => ({ futuresUri });
    const run = await rig.start(withDynamic());
    expect(await rig.events.ended(run.uid)).toBe(Phase.FAILED);
    expect(rig.events.result(run.uid)).toMatchObject({
      value: { code: 'DynamicWorkflowBuildFailed', message: expect.stringContaining('dn9') },
    });
  });

  it('C-80: a recovered run takes over what had succeeded, by spec path, and runs only the rest', async () => {
    script = (launch) => (launch.attempt!.nodeId === 'n2' ? { fail: 'broken' } : { outputs: echoOutputs(launch) });
    const broken = await rig.start(chain(3));
    expect(await rig.events.ended(broken.uid)).toBe(Phase.FAILED);
    script = (launch) => ({ outputs: echoOutputs(launch) });
    backend.launches.length = 0;
    const recovered = await rig.start(chain(3), {
      start: {
        mode: Mode.RECOVERED,
        recoverFromUid: broken.uid,
        recoverFrom: { project: 'flytesnacks', domain: 'development', name: broken.name },
      },
    });
    expect(await rig.events.ended(recovered.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toEqual([`${recovered.name}-n2-0`]);
    expect(rig.events.result(recovered.uid)).toMatchObject({ value: { literals: { o0: literalOf.integer(1) } } });
  });

  it('values above 32 KiB travel by reference', async () => {
    const big = 'x'.repeat(40_000);
    script = async (launch) => {
      if (launch.attempt!.nodeId === 'n0') return { outputs: { o0: literalOf.string(big) } };
      expect(launch.inputs!.value!.$case).toBe('stored');
      return { outputs: { o0: literalOf.integer(1) } };
    };
    const run = await rig.start(chain(2));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
  });
});
