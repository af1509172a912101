import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatchClient, CreateComputeEnvironmentCommand, CreateJobQueueCommand } from '@aws-sdk/client-batch';

/** moto with the job queues `on-demand` and `spot`. */
export interface Moto {
  endpoint: string;
  client: BatchClient;
  /** Forgets all jobs: names of runs recur from test to test. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

export async function startMoto(): Promise<Moto> {
  const dir = mkdtempSync(join(tmpdir(), 'aloft-moto-'));
  const script = new URL('../../../../../tools/infra/moto.mjs', import.meta.url).href;
  const { start } = (await import(script)) as {
    start: (options: { dir: string }) => Promise<{ endpoint: string; region: string; stop(): Promise<void> }>;
  };
  const server = await start({ dir });
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const client = new BatchClient({ region: server.region, endpoint: server.endpoint, credentials });
  await makeQueues(server.endpoint, client);
  return {
    endpoint: server.endpoint,
    client,
    async reset() {
      await fetch(`${server.endpoint}/moto-api/reset`, { method: 'POST' });
      await makeQueues(server.endpoint, client);
    },
    async stop() {
      client.destroy();
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function makeQueues(endpoint: string, client: BatchClient): Promise<void> {
  const serviceRole = await makeRole(endpoint);
  const { computeEnvironmentArn } = await client.send(
    new CreateComputeEnvironmentCommand({ computeEnvironmentName: 'machine', type: 'UNMANAGED', serviceRole }),
  );
  for (const jobQueueName of ['on-demand', 'spot'])
    await client.send(
      new CreateJobQueueCommand({
        jobQueueName,
        state: 'ENABLED',
        priority: 1,
        computeEnvironmentOrder: [{ order: 1, computeEnvironment: computeEnvironmentArn }],
      }),
    );
}

/** A compute environment needs a role that exists; this one call needs no client of its own. */
async function makeRole(endpoint: string): Promise<string> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization:
        'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=test',
    },
    body: new URLSearchParams({
      Action: 'CreateRole',
      Version: '2010-05-08',
      RoleName: 'batch',
      AssumeRolePolicyDocument: '{"Version":"2012-10-17","Statement":[]}',
    }),
  });
  const arn = /<Arn>([^<]+)<\/Arn>/.exec(await response.text())?.[1];
  if (arn === undefined) throw new Error(`moto made no role: ${response.status}`);
  return arn;
}
