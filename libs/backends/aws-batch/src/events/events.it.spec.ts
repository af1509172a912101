import { GetQueueAttributesCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { isTerminal, type BackendPlugin } from '@aloft/backend-kit';
import { Told } from '@aloft/backend-kit/testing';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { backendOf, type AwsBatchOptions } from '../index.js';
import { decodeJob } from '../jobs/handle.js';
import { BatchWorld, testOptions } from '../testing/batch-world.js';
import { startMoto, type Moto } from '../testing/moto.js';

/** As far apart as without a queue, so that what a queue spares is seen. */
const pollMs = { first: 200, longest: 1_500 };

// Real: moto's Batch, EventBridge (rule and target) and SQS. That Batch tells EventBridge of its jobs is tools/infra/moto/server.py's: moto's does not.
describe('C-186: state of jobs by EventBridge and SQS, on moto', () => {
  let moto: Moto;
  let world: BatchWorld;
  let sqs: SQSClient;
  let queueUrl: string;
  const plugins: BackendPlugin[] = [];

  beforeAll(async () => {
    moto = await startMoto();
    sqs = new SQSClient({
      region: 'us-east-1',
      endpoint: moto.endpoint,
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    });
  }, 300_000);

  afterAll(async () => {
    sqs?.destroy();
    await moto?.stop();
  });

  beforeEach(async () => {
    await moto.reset();
    world = new BatchWorld(moto.endpoint);
  });

  afterEach(async () => {
    for (const plugin of plugins.splice(0)) await plugin.stop();
    await world.close();
  });

  async function start(more: Partial<AwsBatchOptions> = {}) {
    const options = { pollMs, ...more };
    const api = world.api(options);
    const plugin = backendOf(api, testOptions(moto.endpoint, options));
    plugins.push(plugin);
    await plugin.start?.();
    return { api, plugin };
  }

  /** Launches so many, lets them run for three seconds, and ends them. */
  async function runAll(plugin: BackendPlugin, run: string, count: number): Promise<Told[]> {
    const launches = Array.from({ length: count }, (_, i) =>
      world.launch('until-finished', { name: `${run}-n${i}-0` }),
    );
    const attempts = await Promise.all(
      launches.map(async (launch) => {
        const told = new Told(world.blob);
        await plugin.launch(launch, told);
        return told;
      }),
    );
    await Promise.all(attempts.map((told) => told.until(({ phase }) => phase === Phase.RUNNING)));
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    for (const { attempt } of launches) await world.finish(attempt);
    await Promise.all(attempts.map((told) => told.end()));
    return attempts;
  }

  const phasesOf = (attempts: readonly Told[]) =>
    attempts.map(({ reports }) => reports.filter(({ phase }) => isTerminal(phase)).map(({ phase }) => Phase[phase]));

  /** Messages that wait, or are with somebody. */
  async function left(): Promise<number> {
    const { Attributes = {} } = await sqs.send(
      new GetQueueAttributesCommand({
        QueueUrl: queueUrl,
        AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
      }),
    );
    return Object.values(Attributes).reduce((sum, count) => sum + Number(count), 0);
  }

  it('every change is told by its event, and its message is gone; Batch is asked less than without', async () => {
    const asking = await start();
    expect(phasesOf(await runAll(asking.plugin, 'run1', 6))).toEqual(Array.from({ length: 6 }, () => ['SUCCEEDED']));
    const without = asking.api.calls.counts.get('DescribeJobs') ?? 0;
    await asking.plugin.stop();

    queueUrl = await moto.eventsQueue('jobs');
    const told = await start({ eventsQueue: queueUrl });
    const attempts = await runAll(told.plugin, 'run2', 6);
    expect(phasesOf(attempts)).toEqual(Array.from({ length: 6 }, () => ['SUCCEEDED']));
    const described = told.api.calls.counts.get('DescribeJobs') ?? 0;
    if (process.env['ALOFT_TEST_FIGURES'] === '1') console.log(`DescribeJobs: ${without} without, ${described} with`);
    expect(described).toBeLessThan(without);
    // With times and what was given: events say the same as DescribeJobs.
    for (const { reports } of attempts) expect(reports.at(-1)?.usage?.cpuSeconds).toBeGreaterThan(2);
    while ((await left()) > 0) await new Promise((resolve) => setTimeout(resolve, 500));
  }, 120_000);

  it('duplicates, late ones, those of strangers, and what is no event: each attempt ends once, and nothing stays in the queue', async () => {
    queueUrl = await moto.eventsQueue('jobs');
    const { plugin } = await start({ eventsQueue: queueUrl });
    const put = (detail: unknown) =>
      sqs.send(
        new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: JSON.stringify({ source: 'aws.batch', detail }) }),
      );
    const bodies = ['no event', '{"source":"aws.ec2","detail":{"instance-id":"i-1"}}'];
    for (const MessageBody of bodies) await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody }));
    await put({ jobId: 'a-stranger', status: 'SUCCEEDED' });
    const launch = world.launch('until-finished', { name: 'run1-n0-0' });
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    await told.until(({ phase }) => phase === Phase.RUNNING);
    const { id: jobId } = decodeJob(told.remembered ?? Buffer.alloc(0));
    // As Batch would never write it.
    await put({ jobId, status: 'RUNNING', container: { environment: 'none', resourceRequirements: 7 } });
    // Out of order while it runs …
    for (const status of ['RUNNABLE', 'STARTING', 'RUNNING', 'RUNNING'])
      await put({ jobId, status, startedAt: Date.now() });
    await world.finish(launch.attempt);
    await told.end();
    // … and behind its end.
    for (const status of ['RUNNING', 'SUCCEEDED', 'FAILED']) await put({ jobId, status });
    while ((await left()) > 0) await new Promise((resolve) => setTimeout(resolve, 500));
    expect(phasesOf([told])).toEqual([['SUCCEEDED']]);
  }, 120_000);
});
