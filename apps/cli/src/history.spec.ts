import { stripVTControlCharacters } from 'node:util';
import { jest } from '@jest/globals';
import { WaitReason_Kind as Kind, type WaitReason } from '@aloft/idl/aloft/v1/bus';
import { ExplainExecutionResponse } from '@aloft/idl/aloft/v1/explain';
import { GetExecutionAtResponse, HistoryEntry, ReplayExecutionResponse } from '@aloft/idl/aloft/v1/history';
import { WatchExecutionResponse } from '@aloft/idl/aloft/v1/watch';
import { momentOf } from './commands/replay.js';
import { runProgram } from './program.js';
import { FakePlatform } from './testing/fake-platform.js';

let platform: FakePlatform;
beforeAll(async () => {
  platform = await FakePlatform.start();
});
afterAll(() => platform.stop());

/** Runs the command line in this process; answers what it printed, without colours, and its exit code. */
async function aloft(...argv: string[]) {
  let stdout = '';
  let stderr = '';
  const out = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => ((stdout += String(chunk)), true));
  const err = jest.spyOn(process.stderr, 'write').mockImplementation((chunk) => ((stderr += String(chunk)), true));
  process.exitCode = undefined;
  try {
    const code = await runProgram([...argv, '--endpoint', platform.endpoint]);
    return { code, stdout: stripVTControlCharacters(stdout), stderr: stripVTControlCharacters(stderr) };
  } finally {
    process.exitCode = undefined;
    out.mockRestore();
    err.mockRestore();
  }
}

const ago = (seconds: number) => ({ seconds: BigInt(Math.floor(Date.now() / 1000) - seconds), nanos: 0 });
const wait = (nodeId: string, kind: Kind, detail: string, more: Partial<WaitReason> = {}) => ({
  nodeId,
  kind,
  detail,
  since: ago(90),
  ...more,
});

describe('aloft history', () => {
  beforeAll(() => {
    platform.history = [
      HistoryEntry.fromPartial({
        number: 1n,
        time: { seconds: 1_764_200_000n, nanos: 5_000_000 },
        summary: 'started by me',
        events: [
          { sequence: 1n, event: { $case: 'workflow', value: { phase: 2 } } },
          {
            sequence: 2n,
            event: { $case: 'node', value: { id: { nodeId: 'n0' }, phase: 1 } },
            waiting: { kind: Kind.PARALLELISM, detail: 'waiting for its turn' },
          },
        ],
        effects: [{ kind: 'launch', detail: 'n1 attempt 0 as run1-n1-0' }],
      }),
      HistoryEntry.fromPartial({ number: 2n, summary: 'timer 1 fired' }),
    ];
  });

  test('prints numbered entries: when, what came in, what it caused', async () => {
    const { code, stdout } = await aloft('history', 'run1');
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      '     1  2025-11-26 23:33:20.005  started by me',
      '        → #1 run RUNNING',
      '        → #2 node n0 QUEUED (waiting for its turn)',
      '        → launch n1 attempt 0 as run1-n1-0',
      expect.stringMatching(/^ {5}2 .*timer 1 fired$/),
      '',
    ]);
  });

  test('pages and asks for less; JSON is one message a line', async () => {
    const { stderr } = await aloft('history', 'run1', '--from', '1', '--limit', '2', '--inputs-only');
    expect(stderr).toBe('More: --from 3\n');
    expect(platform.askedHistory.at(-1)).toMatchObject({ firstEntry: 1n, limit: 2n, entriesOnly: true });
    const { stdout } = await aloft('history', 'run1', '-o', 'json');
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { number: string }).number),
    ).toEqual(['1', '2']);
    expect(await aloft('history', 'run1', '--from', '0')).toMatchObject({ code: 2 });
  });
});

describe('aloft replay', () => {
  const answer = (equal: boolean) =>
    ReplayExecutionResponse.fromPartial({
      equal,
      entries: 9n,
      events: 20n,
      nodes: 3n,
      tasks: 2n,
      snapshotCompared: true,
      differences: equal
        ? []
        : [{ where: 'read model', what: 'node n0', field: 'phase', derived: 'SUCCEEDED', stored: 'FAILED' }],
    });

  test('says equal, or every difference with exit code 1', async () => {
    platform.replays = { good: answer(true), bad: answer(false) };
    expect(await aloft('replay', 'good')).toMatchObject({
      code: 0,
      stdout: '✔ good equal (9 entries, 20 events; 3 nodes and 2 attempts of the read model, the snapshot)\n',
    });
    const bad = await aloft('replay', 'bad');
    expect(bad.code).toBe(1);
    expect(bad.stdout).toMatch(/✘ bad differs/);
    expect(bad.stdout).toMatch(/read model\s+node n0\s+phase\s+SUCCEEDED\s+FAILED/);
    expect(await aloft('replay', 'never')).toMatchObject({ code: 3 });
    platform.foreign = ['theirs'];
    for (const command of ['replay', 'history'])
      expect(await aloft(command, 'theirs')).toMatchObject({
        code: 3,
        stderr: expect.stringContaining('external engine'),
      });
    platform.foreign = [];
  });

  test('of all runs is equal only if each is', async () => {
    platform.replays = { good: answer(true), bad: answer(false) };
    const all = await aloft('replay', '--all', '-o', 'json');
    expect(all.code).toBe(1);
    const lines = all.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { execution: string; equal?: boolean });
    expect(lines.map(({ execution, equal }) => [execution, equal ?? false])).toEqual([
      ['good', true],
      ['bad', false],
    ]);
    platform.replays = { good: answer(true) };
    expect(await aloft('replay', '--all')).toMatchObject({ code: 0, stderr: '1 runs replayed, all equal.\n' });
    platform.foreign = ['theirs'];
    const mixed = await aloft('replay', '--all');
    platform.foreign = [];
    expect(mixed).toMatchObject({ code: 0, stderr: expect.stringContaining('1 runs replayed, all equal.') });
    expect(mixed.stderr).toContain('theirs not replayed: theirs is run by an external engine');
    expect(await aloft('replay')).toMatchObject({ code: 2, stderr: expect.stringContaining('Which run?') });
    expect(await aloft('replay', '--all', '--at', '5m')).toMatchObject({ code: 2 });
  });

  test('--at shows the tree of then', async () => {
    platform.then = GetExecutionAtResponse.fromPartial({
      entry: 4n,
      entries: 9n,
      entryTime: { seconds: 1_764_200_000n, nanos: 0 },
      snapshot: {
        execution: { closure: { phase: 2, startedAt: { seconds: 1_764_199_990n, nanos: 0 } } },
        nodes: [{ id: { nodeId: 'ask' }, closure: { phase: 2, startedAt: { seconds: 1_764_199_995n, nanos: 0 } } }],
        waits: [
          { ...wait('ask', Kind.GATE, 'waiting for approval "ok"'), since: { seconds: 1_764_199_995n, nanos: 0 } },
        ],
      },
    });
    const { stdout, code } = await aloft('replay', 'run1', '--at', '#4');
    expect(code).toBe(0);
    expect(platform.askedHistory.at(-1)).toMatchObject({ $case: 'entry', value: 4n });
    expect(stdout).toBe(
      'After entry 4 of 9, 2025-11-26T23:33:20.000Z:\nrun1 RUNNING 10 s\n└─ ▸ ask 5.0 s waiting for approval "ok" · 5.0 s\n',
    );
  });

  test('moments are times, ages or entries', () => {
    const now = 1_000_000_000;
    expect(momentOf('#17')).toEqual({ $case: 'entry', value: 17n });
    expect(momentOf('5m', now)).toEqual({ $case: 'time', value: { seconds: 999_700n, nanos: 0 } });
    expect(momentOf('1970-01-01T00:00:01.5Z')).toEqual({ $case: 'time', value: { seconds: 1n, nanos: 500_000_000 } });
    expect(() => momentOf('yesterday')).toThrow(/--at must be a time/);
  });
});

describe('U-12: aloft why and aloft watch', () => {
  test('why tells what each node of a run waits for, or one of them', async () => {
    platform.explained = ExplainExecutionResponse.fromPartial({
      phase: 2,
      inFlight: 2,
      dependent: 4,
      nodes: [
        {
          nodeId: 'n1',
          state: 'Reserved',
          wait: wait('n1', Kind.RESERVATION, 'waiting for the cache reservation held by p/d/x'),
        },
        { nodeId: 'n2', state: 'Running' },
      ],
    });
    const { stdout } = await aloft('why', 'run1');
    expect(stdout).toContain('2 in flight, 1 of them waiting; 4 more depend on them.');
    expect(stdout).toMatch(/n1\s+Reserved\s+waiting for the cache reservation held by p\/d\/x\s+1 m 3\d s/);
    const one = await aloft('why', 'run1', 'n1');
    expect(one.stdout).toMatch(/^n1 is Reserved \(RESERVATION\): waiting for .* p\/d\/x, for 1 m 3\d s\.\n$/);
    expect((await aloft('why', 'run1', 'n2')).stdout).toBe('n2 is Running.\n');
    const json = JSON.parse((await aloft('why', 'run1', '-o', 'json')).stdout) as {
      nodes: { wait?: { kind: string } }[];
    };
    expect(json.nodes[0]!.wait!.kind).toBe('RESERVATION');
  });

  test('watch says why a node waits, and no more once it goes on', async () => {
    const change = (event: object) =>
      WatchExecutionResponse.fromPartial({ update: { $case: 'event', value: event as never } });
    const node = (sequence: bigint, phase: number, more: object = {}) =>
      change({
        sequence,
        event: { $case: 'node', value: { id: { nodeId: 'n0' }, phase, occurredAt: ago(1) } },
        ...more,
      });
    const task = (sequence: bigint, more: object) =>
      change({ sequence, event: { $case: 'task', value: { parentNodeExecutionId: { nodeId: 'n0' } } }, ...more });
    platform.script = [
      node(1n, 1, { waiting: wait('n0', Kind.PARALLELISM, "waiting for one of the run's 2 parallel nodes") }),
      node(2n, 1),
      change({ sequence: 3n, event: { $case: 'wait', value: wait('n0', Kind.RESERVATION, 'held by another') } }),
      task(4n, { waiting: wait('n0', Kind.CAPACITY, 'gpu 1 asked, 0 free') }),
      node(5n, 2),
      node(6n, 3),
      change({ sequence: 7n, event: { $case: 'workflow', value: { phase: 4, occurredAt: ago(0) } } }),
    ];
    const { stderr, code } = await aloft('watch', 'run1');
    expect(code).toBe(0);
    const lines = stderr
      .split('\n')
      .slice(0, 6)
      .map((line) => line.replace(/· \d.*$/, '· …'));
    expect(lines).toEqual([
      "· n0 waiting for one of the run's 2 parallel nodes · …",
      '· n0 queued',
      '· n0 held by another · …',
      '· n0 gpu 1 asked, 0 free · …',
      expect.stringMatching(/^▸ n0 /),
      expect.stringMatching(/^✔ n0 /),
    ]);
  });
});
