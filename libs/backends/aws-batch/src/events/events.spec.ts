import { Told } from '@aloft/backend-kit/testing';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BackendPlugin } from '@aloft/backend-kit';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { BatchWorld } from '../testing/batch-world.js';
import { FakeBatch } from '../testing/fake-batch.js';
import { runProcess } from '../testing/process-container.js';
import { jobIn } from './job-events.js';

/** A queue of SQS as far as JobEvents uses it: messages until they are deleted, each visible again after the time that is asked for. */
class FakeQueue {
  readonly messages = new Map<string, { body: string; receives: number; hidden: boolean }>();
  private readonly server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const input = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, never>;
    const answer = await this.answer(String(request.headers['x-amz-target']).split('.')[1] ?? '', input);
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' });
    response.end(JSON.stringify(answer));
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  put(detail: Record<string, unknown>): void {
    const body = JSON.stringify({ source: 'aws.batch', 'detail-type': 'Batch Job State Change', detail });
    this.messages.set(`m${this.messages.size}-${Math.random()}`, { body, receives: 0, hidden: false });
  }

  private async answer(call: string, input: Record<string, never>): Promise<unknown> {
    if (call === 'ReceiveMessage') {
      for (let waited = 0; waited < 50; waited += 1) {
        const found = [...this.messages].filter(([, { hidden }]) => !hidden).slice(0, 10);
        if (found.length > 0)
          return {
            Messages: found.map(([id, message]) => {
              message.hidden = true;
              message.receives += 1;
              return {
                MessageId: id,
                ReceiptHandle: id,
                Body: message.body,
                MD5OfBody: createHash('md5').update(message.body).digest('hex'),
                Attributes: { ApproximateReceiveCount: String(message.receives) },
              };
            }),
          };
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return {};
    }
    if (call === 'ChangeMessageVisibility') {
      const message = this.messages.get(input['ReceiptHandle'] as unknown as string);
      if (message) setTimeout(() => (message.hidden = false), Number(input['VisibilityTimeout']) * 1_000);
      return {};
    }
    const entries = (input['Entries'] ?? []) as unknown as { ReceiptHandle: string }[];
    for (const { ReceiptHandle } of entries) this.messages.delete(ReceiptHandle);
    return { Successful: [], Failed: [] };
  }
}

describe('state of jobs by events', () => {
  let queue: FakeQueue;
  let fake: FakeBatch;
  let world: BatchWorld;
  const plugins: BackendPlugin[] = [];

  const open = async (deliver: (detail: Record<string, unknown>) => void) => {
    queue = new FakeQueue();
    fake = new FakeBatch({ run: runProcess, onEvent: deliver });
    const eventsQueue = `${await queue.listen()}/000000000000/events`;
    // Without events nothing would be asked for in the time of a test.
    world = new BatchWorld(await fake.listen(), { eventsQueue, pollMs: { first: 30_000, longest: 60_000 } }, () =>
      fake.close(),
    );
  };

  const start = async () => {
    const plugin = world.plugin();
    plugins.push(plugin);
    await plugin.start?.();
    return plugin;
  };

  afterEach(async () => {
    for (const plugin of plugins.splice(0)) await plugin.stop();
    await world.close();
    queue.close();
  });

  it('an end is known at once, and Batch is not asked at all', async () => {
    await open((detail) => queue.put(detail));
    const plugin = await start();
    const launch = world.launch('until-finished', { name: 'run1-n0-0' });
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    await told.until(({ phase }) => phase === Phase.RUNNING);
    await world.finish(launch.attempt);
    expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
    expect(fake.calls.get('describejobs') ?? 0).toBeLessThanOrEqual(1);
  });

  it('twice, late, and read by a host that has not the job: each attempt ends once', async () => {
    const running: Record<string, unknown>[] = [];
    await open((detail) => {
      if (detail['status'] === 'RUNNING') running.push(detail);
      if (detail['status'] !== 'SUCCEEDED') return;
      // Twice, and behind it what came before.
      for (const each of [detail, detail, ...running]) queue.put(each);
    });
    const [first, second] = [await start(), await start()];
    const attempts = await Promise.all(
      Array.from({ length: 2 }, async (_, i) => {
        const told = new Told(world.blob);
        await (i % 2 ? first : second).launch(world.launch('succeed', { name: `run1-n${i}-0` }), told);
        return told;
      }),
    );
    const ends = await Promise.all(attempts.map((told) => told.end()));
    expect(ends.map(({ phase }) => Phase[phase])).toEqual(ends.map(() => 'SUCCEEDED'));
    for (const { reports } of attempts)
      expect(reports.filter(({ phase }) => phase === Phase.SUCCEEDED)).toHaveLength(1);
  });

  it.each(['', '{', '{"source":"aws.ec2","detail":{"jobId":"x"}}', '{"source":"aws.batch"}'])(
    '%j is no event',
    (body) => {
      expect(jobIn(body)).toBeUndefined();
    },
  );
});
