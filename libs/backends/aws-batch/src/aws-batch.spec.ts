import type { BackendPlugin } from '@aloft/backend-kit';
import { integer, type LaunchOptions, errorOf, Told } from '@aloft/backend-kit/testing';
import { WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { Secret_MountType } from '@aloft/idl/flyteidl/core/security';
import type { AwsBatchOptions } from './index.js';
import { BatchWorld } from './testing/batch-world.js';
import { FakeBatch, type FakeBatchOptions } from './testing/fake-batch.js';
import { runProcess } from './testing/process-container.js';

// Real: the AWS SDK over HTTP, and the containers' commands as processes. Ours: the Batch behind it.
describe('jobs on AWS Batch', () => {
  let fake: FakeBatch;
  let world: BatchWorld;
  const plugins: BackendPlugin[] = [];

  const open = async (fakeOptions: Partial<FakeBatchOptions> = {}, options: Partial<AwsBatchOptions> = {}) => {
    fake = new FakeBatch({ run: runProcess, ...fakeOptions });
    world = new BatchWorld(await fake.listen(), options, () => fake.close());
  };

  const start = async (more: Partial<AwsBatchOptions> = {}) => {
    const plugin = world.plugin(more);
    plugins.push(plugin);
    await plugin.start?.();
    return plugin;
  };

  const launched = async (plugin: BackendPlugin, options: Partial<LaunchOptions> = {}, spot = false) => {
    const launch = world.launch('succeed', { name: 'run1-n0-0', ...options });
    launch.interruptible = spot;
    // Whoever reads them names them.
    if (options.inputs) launch.env.push({ key: 'INPUTS', value: launch.inputsUri });
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    return { launch, told };
  };

  afterEach(async () => {
    for (const plugin of plugins.splice(0)) await plugin.stop();
    await world.close();
  });

  it('S-1, S-4: one definition, one job, which bears the names of run and node; its inputs are there before it', async () => {
    await open();
    const plugin = await start();
    const { launch, told } = await launched(plugin, { inputs: { a: integer(3) }, cpu: '1500m', memory: '3Gi' });
    expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
    expect([fake.calls.get('registerjobdefinition'), fake.calls.get('submitjob')]).toEqual([1, 1]);
    const [job] = [...fake.jobs.values()];
    expect(job?.request.tags).toMatchObject({
      'aloft:execution': 'flytesnacks/development/run1',
      'aloft:node': launch.attempt.nodeId,
      'aloft:task': 'test.task',
      'aloft:attempt': 'run1-n0-0',
    });
    expect(job?.request).toMatchObject({
      retryStrategy: { attempts: 1 },
      containerOverrides: {
        resourceRequirements: [
          { type: 'VCPU', value: '2' },
          { type: 'MEMORY', value: '3072' },
        ],
      },
    });
    expect(LiteralMap.decode(await world.blob.get(launch.inputsUri)).literals['a']).toMatchObject(integer(3));
  });

  it('the same need is registered once, also by another process; another need once more', async () => {
    await open();
    const first = await start();
    await (await launched(first, { name: 'run1-n0-0' })).told.end();
    await (await launched(first, { name: 'run1-n1-0', cpu: '4' })).told.end();
    await (await launched(await start(), { name: 'run1-n2-0' })).told.end();
    expect(fake.definitions).toHaveLength(1);
    const other = await start({ roles: { default: 'arn:aws:iam::1:role/other', allowed: [] } });
    await (await launched(other, { name: 'run1-n3-0' })).told.end();
    expect(fake.definitions).toHaveLength(2);
    // One that somebody deregistered is registered anew.
    for (const definition of fake.definitions) definition.status = 'INACTIVE';
    await (await launched(first, { name: 'run1-n4-0' })).told.end();
    expect(fake.definitions.map(({ revision }) => revision)).toEqual([1, 1, 2]);
  });

  it('S-3, C-43: interruptible attempts go to the spot queue, the others on demand; rules choose by project, domain and tag', async () => {
    const rule = { platform: 'EC2' as const, projects: [], domains: [], tags: [] };
    const queues = [
      { ...rule, name: 'gpu', onDemand: 'gpus', tags: ['gpu'] },
      {
        ...rule,
        name: 'fair',
        onDemand: 'fair',
        domains: ['production'],
        share: '{{project}}-{{domain}}',
        priorities: { HIGH: 9, MEDIUM: 5, LOW: 1, UNDEFINED: 5 },
      },
      { ...rule, name: 'rest', onDemand: 'on-demand', spot: 'spot' },
    ];
    await open({ queues: ['gpus', 'fair', 'on-demand', 'spot'] }, { queues });
    const plugin = await start();
    await launched(plugin, { name: 'run1-n0-0' }, true);
    await launched(plugin, { name: 'run1-n1-0' }, false);
    const gpu = world.launch('succeed', { name: 'run1-n2-0' });
    gpu.placement = {
      clusterLabel: '',
      clusterPool: '',
      queueTags: ['any', 'gpu'],
      queue: '',
      clusterResources: {},
      tier: 0,
      queueingBudget: undefined,
    };
    await plugin.launch(gpu, new Told(world.blob));
    const production = world.launch('succeed', { name: 'run1-n3-0' });
    production.attempt.execution!.domain = 'production';
    await plugin.launch(production, new Told(world.blob));
    const jobs = [...fake.jobs.values()].map(({ request }) => request);
    expect(jobs.map(({ jobQueue }) => jobQueue)).toEqual(['spot', 'on-demand', 'gpus', 'fair']);
    expect(jobs[3]).toMatchObject({ shareIdentifier: 'flytesnacksproduction', schedulingPriorityOverride: 5 });
    expect(jobs[0]).not.toHaveProperty('shareIdentifier');
  });

  it('what Batch cannot run is refused at launch, with what would be right', async () => {
    await open({ queues: ['on-demand'] }, { roles: { allowed: ['arn:aws:iam::1:role/team-*'] } });
    const plugin = await start();
    const launch = () => world.launch('succeed', { name: 'run1-n0-0' });
    const spot = launch();
    spot.interruptible = true;
    expect(plugin.noPlace?.(spot)).toContain('no job queue "spot"');
    const role = (iamRole: string) => {
      const asking = launch();
      asking.securityContext = {
        runAs: { iamRole, k8sServiceAccount: '', oauth2Client: undefined, executionIdentity: '' },
        secrets: [],
        tokens: [],
      };
      return plugin.noPlace?.(asking);
    };
    expect(role('arn:aws:iam::1:role/root')).toMatch(/role\/root",.*not allowed.*team-\*/);
    expect(role('arn:aws:iam::1:role/team-a')).toBeUndefined();
    const secret = launch();
    secret.template!.securityContext = {
      runAs: undefined,
      secrets: [
        { group: 'db', key: 'password', groupVersion: '', mountRequirement: Secret_MountType.ENV_VAR, envVar: '' },
      ],
      tokens: [],
    };
    expect(plugin.refuse(secret)).toMatch(/db\/password.*secretArn/);
    expect(plugin.refuse(world.launch('succeed', { name: 'x-n0-0', env: { LARGE: 'x'.repeat(9_000) } }))).toMatch(
      /LARGE \(9000\)/,
    );
    const raw = launch();
    if (raw.template?.target?.$case === 'container')
      raw.template.target.value.dataConfig = {
        enabled: true,
        inputPath: '/in',
        outputPath: '/out',
        format: 0,
        ioStrategy: undefined,
      };
    expect(plugin.refuse(raw)).toContain('data_config');
    const podTemplate = launch();
    podTemplate.template!.target = {
      $case: 'k8sPod',
      value: { metadata: undefined, podSpec: {}, dataConfig: undefined, primaryContainerName: '' },
    };
    expect(plugin.refuse(podTemplate)).toContain('pod templates');
  });

  it('secrets are named in the definition, never their values', async () => {
    const arn = 'arn:aws:secretsmanager:us-east-1:1:secret:{{project}}/{{group}}';
    await open(
      {},
      { secretArn: `${arn}:{{key}}::`, roles: { allowed: [], execution: 'arn:aws:iam::1:role/execution' } },
    );
    const plugin = await start();
    const launch = world.launch('succeed', { name: 'run1-n0-0' });
    launch.template!.securityContext = {
      runAs: undefined,
      secrets: [
        {
          group: 'db',
          key: 'password',
          groupVersion: '',
          mountRequirement: Secret_MountType.ENV_VAR,
          envVar: 'PASSWORD',
        },
      ],
      tokens: [],
    };
    await plugin.launch(launch, new Told(world.blob));
    const valueFrom = 'arn:aws:secretsmanager:us-east-1:1:secret:flytesnacks/db:password::';
    expect(fake.definitions[0]?.containerProperties).toMatchObject({
      secrets: [
        { name: 'PASSWORD', valueFrom },
        { name: '_FSEC_DB_PASSWORD', valueFrom },
      ],
    });
  });

  it('a job that cannot run as its queue is configured says why, and fails with that after a while', async () => {
    const why = 'MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no instance type has 900 vCPUs';
    await open({ blocked: () => why }, { misconfiguredMs: 300 });
    const { told } = await launched(await start(), { cpu: '900' });
    const waiting = await told.until(({ reason = '' }) => reason.includes('MISCONFIGURATION'));
    expect(waiting.waitsFor).toBe(WaitReason_Kind.CAPACITY);
    const end = await told.end();
    expect(Phase[end.phase]).toBe('FAILED');
    expect(errorOf(end)).toMatchObject({ code: 'JobCannotRun', message: expect.stringContaining('900 vCPUs') });
  });

  it('C-172: a machine that is taken away mid-task is the system, worth another attempt', async () => {
    await open();
    const plugin = await start();
    const launch = world.launch('until-finished', { name: 'run1-n0-0' });
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    await world.started(launch.attempt);
    for (const job of fake.jobs.values()) fake.reclaim(job);
    expect(errorOf(await told.end())).toMatchObject({ code: 'Interrupted' });
  });

  it('A-164: a job that somebody ends in Batch is aborted, not failed', async () => {
    await open();
    const plugin = await start();
    const launch = world.launch('until-finished', { name: 'run1-n0-0' });
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    await world.started(launch.attempt);
    const [job] = fake.jobs.values();
    await world.api().calls.terminate(job!.id, 'enough of this');
    const end = await told.end();
    expect(Phase[end.phase]).toBe('ABORTED');
    expect(end.reason).toContain('enough of this');
  });

  it('a storm of throttling: every call is made again, more slowly, and every attempt is one job', async () => {
    let storm = 100;
    await open(
      { fate: () => (storm-- > 0 && storm % 5 !== 0 ? 'throttle' : 'answer') },
      { callsPerSecond: { read: 300, write: 300 } },
    );
    const plugin = await start();
    const attempts = await Promise.all(
      Array.from({ length: 20 }, (_, i) => launched(plugin, { name: `run1-n${i}-0` })),
    );
    const ends = await Promise.all(attempts.map(({ told }) => told.end()));
    expect(ends.map(({ phase }) => Phase[phase])).toEqual(ends.map(() => 'SUCCEEDED'));
    expect(fake.jobs.size).toBe(20);
  }, 60_000);

  it('an answer to a submit that is lost makes no second job', async () => {
    let lose = 1;
    await open({ fate: (call) => (call === 'submitjob' && lose-- > 0 ? 'lose' : 'answer') });
    const plugin = await start();
    const launch = world.launch('succeed', { name: 'run1-n0-0' });
    const told = new Told(world.blob);
    await expect(plugin.launch(launch, told)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await plugin.launch(launch, told);
    expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
    expect(fake.jobs.size).toBe(1);
  });

  it('a job runs as long as it may: Batch is told, in its own steps', async () => {
    await open();
    const plugin = await start();
    await launched(plugin, { executionTimeoutMs: 90_500 });
    await launched(plugin, { name: 'run1-n1-0', executionTimeoutMs: 1_000 });
    expect([...fake.jobs.values()].map(({ request }) => request.timeout)).toEqual([
      { attemptDurationSeconds: 91 },
      { attemptDurationSeconds: 60 },
    ]);
  });

  it('log links: the job, and its output once it has some', async () => {
    await open();
    const { told } = await launched(await start());
    const end = await told.end();
    const id = [...fake.jobs.keys()][0];
    expect(end.logs?.map(({ name, uri }) => [name, uri])).toEqual([
      ['AWS Batch', `https://us-east-1.console.aws.amazon.com/batch/home?region=us-east-1#jobs/detail/${id}`],
      [
        'CloudWatch Logs',
        `https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:log-groups/log-group/$252Faws$252Fbatch$252Fjob/log-events/job$252Fdefault$252F${id}-0`,
      ],
    ]);
  });

  it('U-25: usage is what the job was given for as long as it ran', async () => {
    await open();
    const plugin = await start();
    const launch = world.launch('until-finished', { name: 'run1-n0-0', cpu: '2', memory: '1Gi' });
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    await world.started(launch.attempt);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await world.finish(launch.attempt);
    const { usage } = await told.end();
    expect(usage?.cpuSeconds).toBeGreaterThan(0.2);
    expect(usage?.memoryByteSeconds).toBeCloseTo((usage?.cpuSeconds ?? 0) * 2 ** 29, -3);
  });
});
