import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { BenchClient } from '@aloft/bench/client';
import { integerLiteral, mapOfNoops } from '@aloft/bench/shapes';
import { AttemptServiceClient, ListItemsRequest } from '@aloft/idl/aloft/v1/attempts';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { createClient } from '@aloft/rpc';
import { Platform } from './platform.js';

const size = 100_000;

let platform: Platform;
let client: BenchClient;
beforeAll(async () => {
  platform = await Platform.start();
  client = new BenchClient(platform.grpc);
}, 300_000);
afterAll(async () => {
  client?.close();
  await platform?.close();
}, 60_000);

// Real: the whole platform of the suite's shape; each item is dispatched to a backend, which does nothing.
it('C-147: 100,000 items of one array finish, and are listed in pages by their indexes', async () => {
  const version = `items-${Date.now()}`;
  await client.registerTask(version);
  await client.register(mapOfNoops(version), version);
  const literals = Array.from({ length: size }, (_, at) => integerLiteral(BigInt(at)));
  const x = Literal.fromPartial({ value: { $case: 'collection', value: { literals } } });
  const id = await client.launch('bench.map', version, version, { x });
  await client.succeeded(id);
  const attempts = createClient(AttemptServiceClient, platform.grpc, { deadlineMs: 60_000 });
  try {
    const page = (more: object) => attempts.listItems(ListItemsRequest.fromPartial({ id, nodeId: 'map', ...more }));
    let next = 0;
    for (let token = ''; ;) {
      const answer = await page({ limit: 1_000, token });
      expect(answer).toMatchObject({ size, succeeded: size, failed: 0, active: 0 });
      for (const { index, phase } of answer.items)
        if (index !== next++ || phase !== Phase.SUCCEEDED) throw new Error(`item ${index} is ${Phase[phase]}`);
      token = answer.token;
      if (token === '') break;
    }
    expect(next).toBe(size);
    expect((await page({ token: '99998' })).items.map(({ index }) => index)).toEqual([99_998, 99_999]);
    expect((await page({ phases: [Phase.FAILED] })).items).toEqual([]);
  } finally {
    attempts.close();
  }
}, 900_000);
