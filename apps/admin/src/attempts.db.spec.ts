import { ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import { TaskExecution_Phase as TaskPhase, WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { ListItemsRequest } from '@aloft/idl/aloft/v1/attempts';
import { Route_By as By } from '@aloft/idl/aloft/v1/routing';
import { TaskExecutionMetadata_InstanceClass as InstanceClass } from '@aloft/idl/flyteidl/event/event';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { Resources_ResourceName as Name } from '@aloft/idl/flyteidl/core/tasks';
import { domain, idOf, project, register, x } from './testing/entities.js';
import { task, workflow } from './testing/events.js';
import { startPlatform, type Platform } from './testing/platform.js';

const gib = 2 ** 30;
const time = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });
const id = { org: '', project, domain, name: 'used' };

// Real: Postgres, the bus, the projection, gRPC and HTTP. In the propeller's place: the test.
describe('attempts: where they went (U-23), and what they used (U-25)', () => {
  let platform: Platform;
  const taskId: Identifier = idOf(ResourceType.TASK, 'used');
  const route = {
    ...{ backend: 'kubernetes', by: By.RULE, rule: 'big', because: 'cpu 2' },
    resources: {
      requests: [
        { name: Name.CPU, value: '2' },
        { name: Name.MEMORY, value: '4Gi' },
      ],
    },
  };

  beforeAll(async () => {
    platform = await startPlatform();
    const launchPlan = await register(platform, 'used');
    await platform.admin.createExecution(
      ExecutionCreateRequest.fromPartial({ project, domain, name: 'used', inputs: x(1), spec: { launchPlan } }),
    );
    const run = await platform.commands.start('used');
    const told = (nodeId: string, attempt: number, phase: TaskPhase, at: number, more: object = {}) =>
      task(run, taskId, nodeId, attempt, phase, at, more);
    await platform.emit(
      run,
      workflow(Phase.RUNNING, 1),
      { ...told('n0', 0, TaskPhase.QUEUED, 2, { metadata: { instanceClass: InstanceClass.INTERRUPTIBLE } }), route },
      told('n0', 0, TaskPhase.RUNNING, 10),
      {
        ...told('n0', 0, TaskPhase.FAILED, 20, { outputResult: { $case: 'error', value: { code: 'Boom' } } }),
        usage: {
          cpuSeconds: 5,
          memoryByteSeconds: 10 * gib,
          peakMemoryBytes: BigInt(gib),
          startedAt: time(10),
          endedAt: time(20),
        },
      },
      { ...told('n0', 1, TaskPhase.QUEUED, 21, { metadata: { instanceClass: InstanceClass.DEFAULT } }), route },
      {
        ...told('n0', 1, TaskPhase.SUCCEEDED, 50),
        usage: {
          cpuSeconds: 20,
          memoryByteSeconds: 90 * gib,
          peakMemoryBytes: BigInt(3 * gib),
          startedAt: time(30),
          endedAt: time(50),
        },
      },
      // An array: its items ran for 300 s together, in 100 s.
      {
        ...told('n1', 0, TaskPhase.QUEUED, 52),
        route: { backend: 'local', by: By.DEFAULT, resources: route.resources },
      },
      {
        ...told('n1', 0, TaskPhase.SUCCEEDED, 150),
        usage: {
          cpuSeconds: 600,
          memoryByteSeconds: 1200 * gib,
          itemSeconds: 300,
          reserved: true,
          startedAt: time(52),
          endedAt: time(150),
        },
      },
      // Its backend knows nothing, and nothing was recorded.
      told('n2', 0, TaskPhase.RUNNING, 52),
      told('n2', 0, TaskPhase.SUCCEEDED, 60),
    );
  });
  afterAll(() => platform.stop());

  it('are listed with the rule, in pages, also of one node', async () => {
    const first = await platform.attempts.listAttempts({ id, nodeId: '', limit: 3, token: '' });
    expect(first.attempts.map(({ nodeId, retryAttempt, why }) => [nodeId, retryAttempt, why])).toEqual([
      ['n0', 0, 'Goes to kubernetes by rule big (cpu 2).'],
      ['n0', 1, 'Goes to kubernetes by rule big (cpu 2).'],
      ['n1', 0, 'Goes to local, the default.'],
    ]);
    // S-3: the last one is no spot capacity's.
    expect(first.attempts.map(({ interruptible }) => interruptible)).toEqual([true, false, undefined]);
    expect(first.attempts[0]).toMatchObject({
      ...{
        task: { name: 'used' },
        taskType: 'python-task',
        phase: TaskPhase.FAILED,
        startedAt: time(10),
        endedAt: time(20),
      },
      ...{ route: { backend: 'kubernetes', rule: 'big' }, usage: { cpuSeconds: 5 } },
    });
    const { token } = first;
    const rest = await platform.attempts.listAttempts({ id, nodeId: '', limit: 3, token });
    expect(rest).toMatchObject({
      attempts: [{ nodeId: 'n2', why: '', route: undefined, usage: undefined }],
      token: '',
    });
    const ofNode = await platform.attempts.listAttempts({ id, nodeId: 'n0', limit: 1, token: '0/n0' });
    expect(ofNode.attempts).toMatchObject([{ nodeId: 'n0', retryAttempt: 1 }]);
  });

  it('S-2: how many ran at once, by backend', async () => {
    const now = Math.floor(Date.now() / 1000);
    const launchPlan = await register(platform, 'load');
    await platform.admin.createExecution(
      ExecutionCreateRequest.fromPartial({ project, domain, name: 'load', inputs: x(1), spec: { launchPlan } }),
    );
    const run = await platform.commands.start('load');
    const ran = (nodeId: string, from: number, to: number | undefined, backend: string) => [
      { ...task(run, taskId, nodeId, 0, TaskPhase.RUNNING, now - from), route: { backend } },
      ...(to === undefined ? [] : [task(run, taskId, nodeId, 0, TaskPhase.SUCCEEDED, now - to)]),
    ];
    await platform.emit(
      run,
      workflow(Phase.RUNNING, now - 3_000),
      ...ran('n0', 2_900, 1_000, 'spread'),
      ...ran('n1', 2_000, 1_100, 'spread'),
      ...ran('n2', 800, undefined, 'spread'),
      ...ran('n3', 100, 50, 'other'),
    );
    const answer = await platform.attempts.getLoad({ org: '', project, domain, seconds: 3_600, parts: 4 });
    expect(answer.backends.filter(({ backend }) => ['spread', 'other'].includes(backend))).toMatchObject([
      { backend: 'other', running: [0, 0, 0, 1] },
      { backend: 'spread', running: [1, 2, 2, 1] },
    ]);
    expect(answer).toMatchObject({ partSeconds: 900, isPartial: false });
    await expect(
      platform.attempts.getLoad({ org: '', project, domain, seconds: 10, parts: 5_000 }),
    ).rejects.toMatchObject({ message: expect.stringContaining('parts: 5000 is more than 1000') });
  });

  it('S-2: a run that began before that while and ended in it counts', async () => {
    const launchPlan = await register(platform, 'ended');
    await platform.admin.createExecution(
      ExecutionCreateRequest.fromPartial({ project, domain, name: 'ended', inputs: x(1), spec: { launchPlan } }),
    );
    const run = await platform.commands.start('ended');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const now = Math.floor(Date.now() / 1000);
    await platform.emit(
      run,
      workflow(Phase.RUNNING, now - 3),
      { ...task(run, taskId, 'n0', 0, TaskPhase.RUNNING, now - 3), route: { backend: 'brief' } },
      task(run, taskId, 'n0', 0, TaskPhase.SUCCEEDED, now + 1),
      workflow(Phase.SUCCEEDED, now + 1),
    );
    const { backends } = await platform.attempts.getLoad({ org: '', project, domain, seconds: 1, parts: 1 });
    expect(backends.find(({ backend }) => backend === 'brief')?.running).toEqual([1]);
  });

  it('are summed by node and over the run, used beside requested', async () => {
    const { total, nodes, nodeCount } = await platform.attempts.getUsage({ id, limit: 2 });
    expect(nodeCount).toBe(3);
    expect(nodes).toMatchObject([
      {
        nodeId: 'n1',
        usage: { attempts: 1, reserved: 1, seconds: 300, cpuSeconds: 600, requestedCpuSeconds: 600 },
      },
      {
        nodeId: 'n0',
        usage: {
          ...{ attempts: 2, unknown: 0, seconds: 30, cpuSeconds: 25, memoryByteSeconds: 100 * gib },
          ...{ peakMemoryBytes: BigInt(3 * gib), requestedCpuSeconds: 60, requestedMemoryByteSeconds: 120 * gib },
        },
      },
    ]);
    expect(total).toMatchObject({ attempts: 4, unknown: 1, reserved: 1, seconds: 338, cpuSeconds: 625 });
  });

  it('over REST, too', async () => {
    const get = async (path: string) =>
      (await (await fetch(`${platform.http}/api/v1/${path}/${project}/${domain}/used`)).json()) as Record<
        string,
        never
      >;
    expect(await get('attempts')).toMatchObject({
      attempts: [{ node_id: 'n0', route: { backend: 'kubernetes', by: 'RULE', rule: 'big' } }, {}, {}, {}],
    });
    expect(await get('usage')).toMatchObject({ total: { attempts: 4, seconds: 338 } });
  });

  it('of a run or by a token that is not there is said so', async () => {
    await expect(platform.attempts.getUsage({ id: { ...id, name: 'none' }, limit: 0 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(platform.attempts.listAttempts({ id, nodeId: '', limit: 0, token: 'x' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('token: "x"'),
    });
  });
});

describe('items of arrays (C-147)', () => {
  const arrayId = { ...id, name: 'array' };
  const taskId: Identifier = idOf(ResourceType.TASK, 'array');
  const customInfo = (succeeded: number, failed: number, active: number) => ({
    ...{ size: 5_002, succeeded, failed, active },
  });
  const listed = (index: number, phase: TaskPhase, retryAttempt = 0) => ({
    ...{ index, retryAttempt, phase, externalId: `array-n0-0-n${index}-${retryAttempt}` },
    logs: [{ name: `Log-${index}`, uri: `http://logs/${index}` }],
  });
  /** Two bits an item. */
  const states = (...each: number[]) => {
    const bytes = Buffer.alloc(250);
    each.forEach((state, at) => (bytes[at >>> 2] = (bytes[at >>> 2] ?? 0) | (state << ((at & 3) << 1))));
    return bytes;
  };
  let platform: Platform;
  let emit: (sequence: number, phase: TaskPhase, event: object, itemPages?: object[]) => Promise<void>;

  beforeAll(async () => {
    platform = await startPlatform();
    const launchPlan = await register(platform, 'array');
    await platform.admin.createExecution(
      ExecutionCreateRequest.fromPartial({ project, domain, name: 'array', inputs: x(1), spec: { launchPlan } }),
    );
    const run = await platform.commands.start('array');
    emit = (at, phase, { metadata = {}, ...event }: { metadata?: object }, itemPages = []) =>
      platform.emit(run, {
        ...task(run, taskId, 'n0', 0, phase, at, {
          ...{
            phaseVersion: at,
            metadata: { pluginIdentifier: 'k8s-array', generatedName: 'array-n0-0', ...metadata },
          },
          ...event,
        }),
        itemPages,
      });
    await platform.emit(run, workflow(Phase.RUNNING, 1), task(run, taskId, 'n1', 0, TaskPhase.RUNNING, 2));
    await emit(
      3,
      TaskPhase.RUNNING,
      {
        customInfo: customInfo(1, 1, 2),
        metadata: { externalResources: [listed(0, TaskPhase.SUCCEEDED), listed(1, TaskPhase.RUNNING)] },
      },
      [
        { firstIndex: 0, states: states(2, 1) },
        { firstIndex: 5_000, states: states(3, 1), attempts: Buffer.from([2, 0]) },
      ],
    );
  });
  afterAll(() => platform.stop());

  const list = async (more: object) => {
    const { items, token, ...sums } = await platform.attempts.listItems(
      ListItemsRequest.fromPartial({ id: arrayId, nodeId: 'n0', ...more }),
    );
    const lines = items.map(({ index, retryAttempt, phase }) => `${index}.${retryAttempt} ${TaskPhase[phase]}`);
    return { items, token, sums, lines };
  };

  it('are listed by index in pages, with what is known of each', async () => {
    const first = await list({ limit: 3 });
    expect(first.lines).toEqual(['0.0 SUCCEEDED', '1.0 RUNNING', '2.0 UNDEFINED']);
    expect(first.sums).toMatchObject({ size: 5_002, succeeded: 1, failed: 1, active: 2 });
    expect(first.items[1]).toMatchObject({ externalId: 'array-n0-0-n1-0', logs: [{ uri: 'http://logs/1' }] });
    expect(first.items[2]).toMatchObject({ externalId: '', logs: [] });
    expect((await list({ limit: 3, token: first.token })).lines[0]).toBe('3.0 UNDEFINED');
    const last = await list({ token: '5000' });
    expect(last.lines).toEqual(['5000.2 FAILED', '5001.0 RUNNING']);
    expect(last.items[0]!.externalId).toBe('array-n0-0-n5000-2');
    expect(last.token).toBe('');
  });

  it('of a phase, however far apart', async () => {
    expect((await list({ phases: [TaskPhase.RUNNING, TaskPhase.FAILED] })).lines).toEqual([
      '1.0 RUNNING',
      '5000.2 FAILED',
      '5001.0 RUNNING',
    ]);
    const one = await list({ phases: [TaskPhase.RUNNING], limit: 1 });
    expect((await list({ phases: [TaskPhase.RUNNING], token: one.token })).lines).toEqual(['5001.0 RUNNING']);
  });

  it('of one that is over: what was in flight was aborted, the others never began; a page told again replaces', async () => {
    await emit(9, TaskPhase.ABORTED, { customInfo: customInfo(1, 1, 0) }, [
      { firstIndex: 5_000, states: states(2, 1), attempts: Buffer.from([3, 0]) },
    ]);
    expect((await list({ limit: 3 })).lines).toEqual(['0.0 SUCCEEDED', '1.0 ABORTED', '2.0 UNDEFINED']);
    expect((await list({ token: '5000', retryAttempt: 0 })).lines).toEqual(['5000.3 SUCCEEDED', '5001.0 ABORTED']);
  });

  it('over REST; what cannot be answered is refused', async () => {
    const rest = await fetch(`${platform.http}/api/v1/items/${project}/${domain}/array/n0?limit=1&token=5000`);
    expect(await rest.json()).toMatchObject({
      items: [{ index: 5_000, phase: 'SUCCEEDED' }],
      token: '5001',
      size: 5_002,
    });
    const refused = (more: object, code: string, text: string) =>
      expect(list(more)).rejects.toMatchObject({ code, message: expect.stringContaining(text) as string });
    await refused({ nodeId: '' }, 'INVALID_ARGUMENT', 'node_id');
    await refused({ token: 'x' }, 'INVALID_ARGUMENT', 'token');
    await refused({ nodeId: 'n7' }, 'NOT_FOUND', 'n7');
    await refused({ retryAttempt: 4 }, 'NOT_FOUND', 'n0');
    await refused({ nodeId: 'n1' }, 'FAILED_PRECONDITION', 'no array');
    await refused({ phases: [99] }, 'INVALID_ARGUMENT', '99');
  });
});
