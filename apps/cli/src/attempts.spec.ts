import { jest } from '@jest/globals';
import {
  GetLoadResponse,
  GetUsageResponse,
  ListAttemptsResponse,
  ListItemsResponse,
} from '@aloft/idl/aloft/v1/attempts';
import { ExplainExecutionResponse } from '@aloft/idl/aloft/v1/explain';
import { Route_By as By } from '@aloft/idl/aloft/v1/routing';
import { runProgram } from './program.js';
import { FakePlatform } from './testing/fake-platform.js';

let platform: FakePlatform;
beforeAll(async () => {
  platform = await FakePlatform.start();
});
afterAll(() => platform.stop());

async function aloft(...argv: string[]): Promise<string> {
  let stdout = '';
  const out = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => ((stdout += String(chunk)), true));
  try {
    expect(await runProgram([...argv, '--endpoint', platform.endpoint])).toBe(0);
    return stdout;
  } finally {
    out.mockRestore();
  }
}

const at = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });

describe('U-23: where attempts went, and why', () => {
  beforeEach(() => {
    platform.answers['listAttempts'] = ListAttemptsResponse.fromPartial({
      attempts: [
        {
          ...{ nodeId: 'n0', retryAttempt: 0, task: { name: 'train' }, phase: 3, startedAt: at(10), endedAt: at(22) },
          route: { backend: 'kubernetes', by: By.RULE, rule: 'gpus', because: 'gpu 1' },
          why: 'Goes to kubernetes by rule gpus (gpu 1).',
          interruptible: true,
        },
        {
          ...{ nodeId: 'n1', retryAttempt: 1, task: { name: 'load' }, phase: 2 },
          route: { backend: 'local', by: By.DEFAULT },
          why: 'Goes to local, the default.',
          interruptible: false,
        },
      ],
    });
  });

  test('get attempts', async () => {
    const lines = (await aloft('get', 'attempts', 'run1')).split('\n');
    expect(lines[1]).toMatch(/^n0 +0 +SUCCEEDED +train +12 s +kubernetes +spot +by rule gpus \(gpu 1\)/);
    expect(lines[2]).toMatch(/^n1 +1 +RUNNING +load +local +on demand +the default/);
    const json = JSON.parse(await aloft('get', 'attempts', 'run1', '-o', 'json')) as { route: { rule: string } }[];
    expect(json[0]!.route.rule).toBe('gpus');
  });

  test('why of a node', async () => {
    platform.explained = ExplainExecutionResponse.fromPartial({ nodes: [{ nodeId: 'n2', state: 'Running' }] });
    const text = await aloft('why', 'run1', 'n2');
    expect(text).toContain('Attempt 0 SUCCEEDED: went to kubernetes by rule gpus (gpu 1).');
    const json = JSON.parse(await aloft('why', 'run1', 'n2', '--json')) as { attempts: { why: string }[] };
    expect(json.attempts[1]!.why).toBe('Goes to local, the default.');
  });
});

describe('S-2: aloft cluster usage', () => {
  test('a curve for each backend, with what runs now and the most that ran', async () => {
    platform.answers['getLoad'] = GetLoadResponse.fromPartial({
      backends: [
        { backend: 'aws-batch', running: [0, 1, 0, 0] },
        { backend: 'local', running: [1, 100, 200, 0] },
      ],
    });
    const text = await aloft('cluster', 'usage', '--minutes', '4');
    expect(text).toMatch(/backend +now +most +at once, over the last 4 minutes/);
    expect(text).toMatch(/aws-batch +0 +1 + █/);
    expect(text).toMatch(/local +0 +200 +▁▄█/);
    const json = JSON.parse(await aloft('cluster', 'usage', '--json')) as { backends: { running: number[] }[] };
    expect(json.backends[1]?.running).toEqual([1, 100, 200, 0]);
  });

  test('of a while in which nothing ran; of none', async () => {
    platform.answers['getLoad'] = GetLoadResponse.create();
    expect(await aloft('cluster', 'usage')).toContain('Nothing ran in the last 60 minutes.');
  });
});

test('C-147: items of an array, from an index on', async () => {
  platform.answers['listItems'] = ListItemsResponse.fromPartial({
    ...{ size: 100_000, succeeded: 7, failed: 1, active: 2, token: '99002' },
    items: [
      { index: 99_000, retryAttempt: 2, phase: 5, externalId: 'run1-n0-0-n99000-2' },
      { index: 99_001, phase: 0 },
    ],
  });
  const lines = (await aloft('execution', 'items', 'run1', 'n0', '--token', '99000', '--phase', 'failed')).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^99000 +2 +FAILED +run1-n0-0-n99000-2/),
      expect.stringMatching(/^99001 +0 +not begun/),
    ]),
  );
  const json = JSON.parse(await aloft('execution', 'items', 'run1', 'n0', '--json')) as { index: number }[];
  expect(json.map(({ index }) => index)).toEqual([99_000, 99_001]);
});

describe('U-25: aloft usage', () => {
  const gib = 2 ** 30;
  const usage = (more: object) => ({
    ...{ attempts: 1, seconds: 100, cpuSeconds: 25, memoryByteSeconds: 36 * gib, peakMemoryBytes: BigInt(gib / 2) },
    ...{ requestedCpuSeconds: 100, requestedMemoryByteSeconds: 72 * gib },
    ...more,
  });

  test('what was used beside what was asked for, by node and altogether', async () => {
    platform.answers['getUsage'] = GetUsageResponse.fromPartial({
      total: usage({ attempts: 3, reserved: 1, unknown: 1 }),
      nodes: [
        { nodeId: 'n0', usage: usage({}) },
        { nodeId: 'n1', usage: { attempts: 1, seconds: 5, unknown: 1 } },
      ],
      nodeCount: 4,
    });
    const text = await aloft('usage', 'run1');
    expect(text).toMatch(/n0 +1 +1 m 40 s +25 s +25 % of 1 m 40 s +0\.01 GiB h +50 % of 0\.02 GiB h +512\.0 MiB/);
    expect(text).toMatch(/n1 +1 +5\.0 s +\n/);
    expect(text).toMatch(/all +3 /);
    expect(text).toContain('… and 2 more nodes');
    expect(text).toContain('Of 1 attempt what was reserved is known');
    expect(text).toContain("Of 1 attempt their backends don't know what was used.");
    const json = JSON.parse(await aloft('usage', 'run1', '--json')) as { total: { cpuSeconds: number } };
    expect(json.total.cpuSeconds).toBe(25);
  });

  test('of a run that has not begun', async () => {
    platform.answers['getUsage'] = GetUsageResponse.fromPartial({ total: {} });
    expect(await aloft('usage', 'run1')).toContain('No task of it has begun.');
  });
});
