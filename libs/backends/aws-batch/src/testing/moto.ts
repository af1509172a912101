import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatchClient } from '@aws-sdk/client-batch';

/** moto with the job queues `on-demand` and `spot`. */
export interface Moto {
  endpoint: string;
  client: BatchClient;
  /** Makes an SQS queue with what EventBridge tells of jobs; its URL. */
  eventsQueue(name: string): Promise<string>;
  /** Forgets all jobs: names of runs recur from test to test. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

const queues = ['on-demand', 'spot'];

export async function startMoto(): Promise<Moto> {
  const dir = mkdtempSync(join(tmpdir(), 'aloft-moto-'));
  const script = new URL('../../../../../tools/infra/moto.mjs', import.meta.url).href;
  const { start, makeQueues, makeEventsQueue } = (await import(script)) as {
    start: (options: { dir: string }) => Promise<{ endpoint: string; region: string; stop(): Promise<void> }>;
    makeQueues: (endpoint: string, names: readonly string[]) => Promise<void>;
    makeEventsQueue: (endpoint: string, name: string) => Promise<string>;
  };
  const server = await start({ dir });
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const client = new BatchClient({ region: server.region, endpoint: server.endpoint, credentials });
  await makeQueues(server.endpoint, queues);
  return {
    endpoint: server.endpoint,
    client,
    eventsQueue: (name) => makeEventsQueue(server.endpoint, name),
    async reset() {
      await fetch(`${server.endpoint}/moto-api/reset`, { method: 'POST' });
      await makeQueues(server.endpoint, queues);
    },
    async stop() {
      client.destroy();
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
