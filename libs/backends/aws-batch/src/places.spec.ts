import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { Resources_ResourceName } from '@aloft/idl/flyteidl/core/tasks';
import { Route } from '@aloft/idl/aloft/v1/routing';
import type { TaskReport } from '@aloft/idl/aloft/v1/bus';
import type { AwsBatchOptions, QueueRule } from './options.js';
import { BatchStage } from './testing/batch-stage.js';
import { BatchWorld } from './testing/batch-world.js';
import { FakeBatch } from './testing/fake-batch.js';
import { runProcess } from './testing/process-container.js';

const rule: QueueRule = { name: 'rest', onDemand: 'on-demand', platform: 'EC2', projects: [], domains: [], tags: [] };

// Real: the AWS SDK over HTTP, the host, and the containers' commands as processes. Ours: the Batch behind it.
describe('attempts that have no place on AWS Batch (U-23)', () => {
  const queues = ['on-demand'];
  const options: Partial<AwsBatchOptions> = {};
  let world: BatchWorld;
  let stage: BatchStage;

  beforeEach(async () => {
    const fake = new FakeBatch({ run: runProcess, queues });
    const endpoint = await fake.listen();
    world = new BatchWorld(endpoint, options, () => fake.close());
    queues.splice(0, queues.length, 'on-demand');
    Object.assign(options, { queues: [rule], roles: { allowed: [] } });
    stage = new BatchStage(endpoint, world.blob, options);
  });
  afterEach(async () => {
    await stage.stop();
    await world.close();
  });

  function launch(waits: boolean, more: { name?: string; queue?: string; role?: string } = {}) {
    const made = world.launch('succeed', { name: more.name ?? 'run1-n0-0' });
    made.route = Route.fromPartial({ waits, rule: 'mine', choice: { queue: more.queue ?? '' } });
    const runAs = { iamRole: more.role ?? '', k8sServiceAccount: '', oauth2Client: undefined, executionIdentity: '' };
    made.securityContext = { runAs, secrets: [], tokens: [] };
    return made;
  }

  const heard = (condition: (report: TaskReport) => boolean) =>
    stage.bus.until(() => stage.bus.reports.find(condition));
  const waiting = (part: string) =>
    heard(({ phase, reason }) => phase === Phase.WAITING_FOR_RESOURCES && reason.includes(part));

  it('a queue that is not there: refused, or waited for until it is', async () => {
    options.queues = [{ ...rule, onDemand: 'later' }];
    await stage.start();
    await stage.launch(launch(false));
    const refused = await heard(({ phase }) => phase === Phase.FAILED);
    expect(refused.outcome?.result).toMatchObject({
      value: { code: 'NoPlace', message: expect.stringContaining('AWS Batch has no job queue "later"') },
    });
    const patient = launch(true, { name: 'run1-n1-0' });
    await stage.launch(patient);
    await waiting('AWS Batch has no job queue "later"');
    queues.push('later');
    await stage.api.queues.review();
    await heard(({ phase, attempt }) => phase === Phase.SUCCEEDED && attempt?.name === 'run1-n1-0');
  });

  it('a role that is not allowed: refused, or waited for until it is', async () => {
    await stage.start();
    await stage.launch(launch(false, { name: 'run1-n1-0', role: 'arn:aws:iam::1:role/team-a' }));
    const refused = await heard(({ phase }) => phase === Phase.FAILED);
    expect(refused.outcome?.result).toMatchObject({
      value: { code: 'NoPlace', message: expect.stringContaining('role/team-a", which is not allowed') },
    });
    await stage.launch(launch(true, { role: 'arn:aws:iam::1:role/team-a' }));
    await waiting('role/team-a", which is not allowed');
    await stage.stop();
    options.roles = { allowed: ['arn:aws:iam::1:role/team-*'] };
    await stage.start();
    await heard(({ phase }) => phase === Phase.SUCCEEDED);
  });

  it('more than Fargate has: refused, or waited for until its queue has machines', async () => {
    options.queues = [{ ...rule, platform: 'FARGATE' }];
    options.roles = { allowed: [], execution: 'arn:aws:iam::1:role/execution' };
    await stage.start();
    const large = (waits: boolean, name: string) => {
      const made = launch(waits, { name });
      made.resources = { requests: [{ name: Resources_ResourceName.CPU, value: '64' }], limits: [] };
      return made;
    };
    await stage.launch(large(false, 'run1-n0-0'), large(true, 'run1-n1-0'));
    const refused = await heard(({ phase }) => phase === Phase.FAILED);
    expect(refused.outcome?.result).toMatchObject({
      value: { code: 'NoPlace', message: expect.stringContaining('Fargate') },
    });
    await waiting('Fargate');
    await stage.stop();
    options.queues = [rule];
    await stage.start();
    await heard(({ phase, attempt }) => phase === Phase.SUCCEEDED && attempt?.name === 'run1-n1-0');
  });

  it('the queue that a routing rule names is the only one that will do, by name or tag', async () => {
    const gpu = { ...rule, name: 'gpus', onDemand: 'gpu', tags: ['accelerated'] };
    options.queues = [gpu, rule];
    queues.push('gpu');
    await stage.start();
    // Each with outputs of its own.
    for (const queue of ['accelerated', 'gpus', 'none'])
      await stage.launch(launch(false, { name: `run1-n${queue}-0`, queue }));
    const ends = await stage.bus.until(() => (stage.ends.size === 3 ? [...stage.ends.values()] : undefined));
    const phases = Object.fromEntries(ends.map(({ attempt, phase }) => [attempt?.name, Phase[phase]]));
    expect(phases).toEqual({
      'run1-naccelerated-0': 'SUCCEEDED',
      'run1-ngpus-0': 'SUCCEEDED',
      'run1-nnone-0': 'FAILED',
    });
    const refused = ends.find(({ phase }) => phase === Phase.FAILED);
    expect(refused?.outcome?.result).toMatchObject({
      value: {
        message: expect.stringContaining(
          'rule "mine" sends it to the queue "none", which backends.awsBatch.queues has not',
        ),
      },
    });
  });
});
