import { WaitReason_Kind as Kind, type ExecutionEvent, type WaitReason } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { literalOf } from '@aloft/literals';
import { endOf, eventOf, executionOf, startRun } from './testing/follow.js';
import { succeeds } from './testing/scripted-backend.js';
import { startServices, type Services } from './testing/services.js';
import {
  approveNode,
  childNode,
  domain,
  project,
  registerTask,
  registerWorkflow,
  sleepNode,
  taskNode,
} from './testing/workflows.js';

// Real: admin, catalog, propeller, Postgres, bus, blob folder, gRPC, REST. Scripted: the backend host.
let services: Services;
beforeAll(async () => {
  services = await startServices({ cache: { reservedRetryMs: 60_000 } });
});
afterAll(() => services.stop());

const waits =
  (nodeId: string, kind: Kind) =>
  ({ event, waiting }: ExecutionEvent): boolean => {
    const wait = event?.$case === 'wait' ? event.value : waiting;
    return wait?.nodeId === nodeId && wait.kind === kind;
  };

/** The reason as all of the API tells it, which must be the same everywhere. */
async function reasonOf(name: string, nodeId: string): Promise<WaitReason> {
  const id = executionOf(name);
  const { nodes } = await services.explain.listWaiting({
    id,
    org: '',
    project: '',
    domain: '',
    kinds: [],
    limit: 0,
    token: '',
  });
  const listed = nodes.find((node) => node.id?.nodeId === nodeId)?.wait;
  const { node } = await services.explain.explainNode({ id: { executionId: id, nodeId } });
  const overview = await services.explain.explainExecution({ id, limit: 0 });
  expect(overview.nodes).toContainEqual(node);
  let snapshot: WaitReason | undefined;
  for await (const { update } of services.watch.watchExecution({
    id,
    executionOnly: false,
    afterSequence: 0n,
    untilStored: false,
  })) {
    if (update?.$case === 'snapshot') snapshot = update.value.waits.find((wait) => wait.nodeId === nodeId);
    break;
  }
  expect(snapshot).toEqual(listed);
  expect(listed).toMatchObject({ kind: node!.wait!.kind, since: node!.wait!.since });
  return node!.wait!;
}

describe('U-12: why a node is not running, forced and read from the API', () => {
  test('DEPENDENCY and PARALLELISM', async () => {
    await registerTask(services, 'line');
    const nodes = ['a', 'b', 'c'].map((id) => taskNode(id, 'line'));
    await registerWorkflow(services, 'line', [...nodes, taskNode('last', 'line', 'c')], { output: 'last' });
    services.backend.script = () => [{ phase: Phase.RUNNING }];
    await startRun(services, 'line', 'line-1', { maxParallelism: 1 });
    await eventOf(services, 'line-1', waits('c', Kind.PARALLELISM));
    expect(await reasonOf('line-1', 'c')).toMatchObject({ kind: Kind.PARALLELISM, limit: 1, position: 2 });
    const { node } = await services.explain.explainNode({ id: { executionId: executionOf('line-1'), nodeId: 'last' } });
    expect(node).toMatchObject({ state: 'Waiting', wait: { kind: Kind.DEPENDENCY, upstream: ['c'] } });
    await expect(
      services.explain.explainNode({ id: { executionId: executionOf('line-1'), nodeId: 'nobody' } }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await services.admin.terminateExecution({ id: executionOf('line-1'), cause: 'seen' });
    expect(await endOf(services, 'line-1')).toBe('ABORTED');
    const { nodes: left } = await services.explain.listWaiting({
      id: executionOf('line-1'),
      org: '',
      project: '',
      domain: '',
      kinds: [],
      limit: 0,
      token: '',
    });
    expect(left).toEqual([]);
    const over = await services.explain.explainNode({ id: { executionId: executionOf('line-1'), nodeId: 'a' } });
    expect(over.node).toMatchObject({ nodeId: 'a', state: 'Aborted', wait: undefined });
  });

  test('RESERVATION: whose it is', async () => {
    await registerTask(services, 'shared', { cached: true });
    await registerWorkflow(services, 'shared', [taskNode('n0', 'shared')], { output: 'n0' });
    services.backend.script = () => [{ phase: Phase.RUNNING }];
    await startRun(services, 'shared', 'first');
    const first = await services.backend.launchOf('n0');
    await startRun(services, 'shared', 'second');
    await eventOf(services, 'second', waits('n0', Kind.RESERVATION));
    const wait = await reasonOf('second', 'n0');
    expect(wait.holder).toContain(`${project}/${domain}/first-n0-0/`);
    expect(wait.until).toBeDefined();
    await services.backend.report(first, succeeds(first));
    expect(await endOf(services, 'first')).toBe('SUCCEEDED');
    await services.admin.terminateExecution({ id: executionOf('second'), cause: 'seen' });
    await endOf(services, 'second');
  });

  test.each([
    ['capacity', Kind.CAPACITY, { phase: Phase.WAITING_FOR_RESOURCES, reason: 'gpu 1 asked, 0 of 0 free' }],
    [
      'quota',
      Kind.QUOTA,
      { phase: Phase.WAITING_FOR_RESOURCES, reason: 'quota cpu of flytesnacks', waitsFor: Kind.QUOTA },
    ],
    [
      'limit',
      Kind.LIMIT,
      { phase: Phase.QUEUED, phaseVersion: 1, reason: '20 of 20 connections', waitsFor: Kind.LIMIT },
    ],
    ['image', Kind.IMAGE, { phase: Phase.INITIALIZING, reason: 'pulling image:1' }],
    [
      'backoff',
      Kind.BACKOFF,
      { phase: Phase.WAITING_FOR_RESOURCES, reason: 'tried again in 2 s', waitsFor: Kind.BACKOFF },
    ],
  ])('what a backend reports: %s', async (name, kind, report) => {
    await registerTask(services, name);
    await registerWorkflow(services, name, [taskNode(`n-${name}`, name)], { output: `n-${name}` });
    services.backend.script = () => [report];
    await startRun(services, name, `${name}-1`);
    await eventOf(services, `${name}-1`, waits(`n-${name}`, kind));
    expect(await reasonOf(`${name}-1`, `n-${name}`)).toMatchObject({ kind, detail: report.reason, backend: 'local' });
    const launch = await services.backend.launchOf(`n-${name}`);
    await services.backend.report(launch, { phase: Phase.RUNNING });
    await services.backend.report(launch, succeeds(launch));
    expect(await endOf(services, `${name}-1`)).toBe('SUCCEEDED');
  });

  test('GATE and CHILD, over REST too', async () => {
    await registerTask(services, 'inner');
    await registerWorkflow(services, 'inner', [taskNode('i0', 'inner')], { output: 'i0' });
    await registerWorkflow(
      services,
      'outer',
      [approveNode('ask', 'ok'), sleepNode('nap', 3_600_000), childNode('kid', 'inner')],
      { output: 'kid' },
    );
    services.backend.script = () => [{ phase: Phase.RUNNING }];
    await startRun(services, 'outer', 'outer-1');
    await eventOf(services, 'outer-1', waits('kid', Kind.CHILD));
    expect(await reasonOf('outer-1', 'ask')).toMatchObject({ kind: Kind.GATE, signalId: 'ok' });
    expect((await reasonOf('outer-1', 'nap')).until).toBeDefined();
    const kid = await reasonOf('outer-1', 'kid');
    expect(kid).toMatchObject({ kind: Kind.CHILD, detail: `waiting for child execution ${kid.child!.name}` });
    const response = await fetch(`${services.httpUrl}/api/v1/explain/${project}/${domain}/outer-1`);
    expect(await response.json()).toMatchObject({
      nodes: expect.arrayContaining([
        expect.objectContaining({ node_id: 'kid', wait: expect.objectContaining({ kind: 'CHILD' }) }),
      ]),
    });
    const node = await fetch(`${services.httpUrl}/api/v1/explain/${project}/${domain}/outer-1/nap`);
    expect(await node.json()).toMatchObject({ node: { node_id: 'nap', wait: { kind: 'GATE', detail: 'sleeping' } } });
    const page = await fetch(`${services.httpUrl}/api/v1/waiting/${project}/${domain}?kinds=GATE&limit=1`);
    const { nodes, token } = (await page.json()) as { nodes: { id: { node_id: string } }[]; token: string };
    expect(nodes).toHaveLength(1);
    const rest = await services.explain.listWaiting({
      org: '',
      project,
      domain,
      kinds: [Kind.GATE],
      limit: 10,
      token,
      id: undefined,
    });
    expect([nodes[0]!.id.node_id, ...rest.nodes.map(({ id }) => id!.nodeId)].sort()).toEqual(['ask', 'nap']);
    await services.signals.setSignal({
      id: { signalId: 'ok', executionId: executionOf('outer-1') },
      value: literalOf.boolean(true),
    });
    await services.admin.terminateExecution({ id: executionOf('outer-1'), cause: 'seen' });
    await endOf(services, 'outer-1');
  });
});
