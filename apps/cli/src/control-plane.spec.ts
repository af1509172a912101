import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { Erasure_State, EraseExecutionResponse } from '@aloft/idl/aloft/v1/retention';
import { WatchProjectResponse } from '@aloft/idl/aloft/v1/watch';
import type { MatchingAttributes } from '@aloft/idl/flyteidl/admin/matchable_resource';
import type { Span } from '@aloft/idl/flyteidl/core/metrics';
import { candidates } from './commands/completion.js';
import { secondsOf, spanText } from './inputs/time-span.js';
import { program, runProgram } from './program.js';
import { FakePlatform } from './testing/fake-platform.js';

let platform: FakePlatform;
beforeAll(async () => {
  platform = await FakePlatform.start();
});
afterAll(() => platform.stop());
beforeEach(() => {
  platform.calls.length = 0;
  platform.answers = {};
});

/** Runs the command line in this process; answers what it printed and its exit code. */
async function aloft(...argv: string[]) {
  let stdout = '';
  let stderr = '';
  const out = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => ((stdout += String(chunk)), true));
  const err = jest.spyOn(process.stderr, 'write').mockImplementation((chunk) => ((stderr += String(chunk)), true));
  process.exitCode = undefined;
  try {
    const code = await runProgram([...argv, '--endpoint', platform.endpoint]);
    return { code, stdout, stderr };
  } finally {
    process.exitCode = undefined;
    out.mockRestore();
    err.mockRestore();
  }
}

const called = (rpc: string): object[] => platform.calls.flatMap(([name, request]) => (name === rpc ? [request] : []));
const here = { project: 'flytesnacks', domain: 'development' };

describe('a name that was asked for', () => {
  test.each([
    ['get', 'tasks', 'nosuch'],
    ['get', 'workflows', 'nosuch'],
    ['task', 'list', 'nosuch'],
    ['task', 'describe', 'nosuch'],
    ['launchplan', 'get', 'nosuch'],
  ])('%s %s %s: is not there: exit code 3, and where to look', async (...argv) => {
    const { code, stdout, stderr } = await aloft(...argv);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toContain("'nosuch' in flytesnacks/development");
    expect(stderr).toContain('list');
    const json = await aloft(...argv, '--json');
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: 'NOT_FOUND' } });
  });

  test('without a name an empty list is no mistake', async () => {
    expect(await aloft('task', 'list')).toMatchObject({ code: 0, stdout: expect.stringContaining('(none)') });
    expect(await aloft('task', 'list', '--json')).toMatchObject({ code: 0, stdout: '[]\n' });
  });
});

describe('projects, registered entities and runs', () => {
  test('a project is created, changed and archived', async () => {
    expect((await aloft('project', 'create', 'p1', '--description', 'd', '--label', 'team=ml')).code).toBe(0);
    expect(called('registerProject')).toMatchObject([
      { project: { id: 'p1', name: 'p1', description: 'd', labels: { values: { team: 'ml' } } } },
    ]);
    await aloft('project', 'update', 'p1', '--name', 'People');
    await aloft('project', 'archive', 'p1');
    expect(called('updateProject')).toMatchObject([
      { id: 'p1', name: 'People' },
      { id: 'p1', state: 1 },
    ]);
    expect((await aloft('project', 'update', 'p1')).code).toBe(2);
    expect(await aloft('project', 'create', 'p1', '--label', 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('key=value'),
    });
  });

  test('A-55: where the time of a run went, part by part', async () => {
    const at = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });
    const part = (id: Span['id'], from: number, to: number, spans: Span[] = []): Span => ({
      id,
      startTime: at(from),
      endTime: at(to),
      spans,
    });
    const executionId = { ...here, name: 'r', org: '' };
    const node = part({ $case: 'nodeId', value: { nodeId: 'n0', executionId } }, 101, 104, [
      part({ $case: 'operationId', value: 'NODE_SETUP' }, 101, 102),
    ]);
    const span = part({ $case: 'workflowId', value: executionId }, 100, 104, [
      part({ $case: 'operationId', value: 'WORKFLOW_SETUP' }, 100, 101),
      node,
    ]);
    platform.answers['getExecutionMetrics'] = { span };
    const { code, stdout } = await aloft('execution', 'times', 'r');
    expect(code).toBe(0);
    const lines = stdout.split('\n').map((line) => line.trim().replaceAll(/ {2,}/g, '|'));
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^r\|0.*\|4.*s\|100\.0 %$/),
        expect.stringMatching(/^workflow setup\|0.*\|1.*s\|25\.0 %$/),
        expect.stringMatching(/^n0\|1.*s\|3.*s\|75\.0 %$/),
        expect.stringMatching(/^node setup\|1.*s\|1.*s\|25\.0 %$/),
      ]),
    );
    expect(called('getExecutionMetrics')).toMatchObject([{ id: executionId, depth: 10 }]);
    const json = await aloft('execution', 'times', 'r', '--depth', '0', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ span: { spans: [{ operationId: 'WORKFLOW_SETUP' }, {}] } });
    expect(called('getExecutionMetrics')[1]).toMatchObject({ depth: 0 });
    expect((await aloft('execution', 'times', 'r', '--depth', '-1')).code).toBe(2);
  });

  test('S-20: a promotion needs another place to go to', async () => {
    const promote = (...more: string[]) => aloft('launchplan', 'promote', 'p', 'v1', ...more);
    expect(await promote('--to', 'development')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--to-project'),
    });
    expect((await promote()).code).toBe(2);
    expect(platform.calls).toEqual([]);
  });

  test('archiving a name keeps its description', async () => {
    platform.answers['getNamedEntity'] = { metadata: { description: 'kept', state: 0 } };
    await aloft('workflow', 'archive', 'w');
    expect(called('updateNamedEntity')).toMatchObject([
      { resourceType: 2, id: { ...here, name: 'w' }, metadata: { description: 'kept', state: 1 } },
    ]);
  });

  test('a list goes out with its filter, order, page and place', async () => {
    await aloft(
      'task',
      'list',
      '--filter',
      'eq(version,v1)',
      '--sort',
      'name:asc',
      '-l',
      '7',
      '--token',
      '14',
      '-p',
      'p2',
    );
    expect(called('listTasks')).toMatchObject([
      {
        id: { project: 'p2' },
        filters: 'eq(version,v1)',
        limit: 7,
        token: '14',
        sortBy: { key: 'name', direction: 1 },
      },
    ]);
    expect((await aloft('task', 'list', '--sort', 'name:up')).code).toBe(2);
    expect((await aloft('task', 'list', '--limit', '0')).code).toBe(2);
  });

  test('runs are archived one after the other, described and listed', async () => {
    expect((await aloft('execution', 'archive', 'r1', 'r2')).code).toBe(0);
    expect(called('updateExecution')).toMatchObject([
      { id: { ...here, name: 'r1' }, state: 1 },
      { id: { ...here, name: 'r2' }, state: 1 },
    ]);
    expect((await aloft('execution', 'describe', 'r1')).stdout).toContain('phase: SUCCEEDED');
    expect((await aloft('exec', 'ls')).code).toBe(0);
    expect((await aloft('execution', 'get', 'unknown')).code).toBe(3);
  });
});

test('execution list --watch: the list again when a run of it changes, not for what its nodes do', async () => {
  const event = (kind: 'workflow' | 'node') =>
    WatchProjectResponse.fromPartial({ event: { event: { $case: kind, value: {} } as never } });
  platform.projectScript = [event('node')];
  expect((await aloft('execution', 'list', '--watch')).stdout.match(/launch plan|none/g)).toHaveLength(1);
  platform.projectScript = [event('node'), event('workflow')];
  expect((await aloft('execution', 'list', '--watch')).stdout.match(/launch plan|none/g)).toHaveLength(2);
});

describe('aloft attributes', () => {
  const sent = (rpc: string) =>
    (called(rpc)[0] as { attributes: { matchingAttributes: MatchingAttributes } }).attributes.matchingAttributes.target;

  test.each([
    [['task-resource', 'default.cpu=1', 'limit.memory=4Gi'], { defaults: { cpu: '1' }, limits: { memory: '4Gi' } }],
    [['cluster-resource', 'quota=5'], { attributes: { quota: '5' } }],
    [['execution-queue', 'gpu', 'cheap'], { tags: ['gpu', 'cheap'] }],
    [['cluster-label', 'east'], { value: 'east' }],
    [['quality-of-service', 'high'], { designation: { $case: 'tier', value: 1 } }],
    [['quality-of-service', '90s'], { designation: { $case: 'spec', value: { queueingBudget: { seconds: 90n } } } }],
    [
      ['plugin-override', 'spark=a,b,USE_DEFAULT'],
      { overrides: [{ taskType: 'spark', pluginId: ['a', 'b'], missingPluginBehavior: 1 }] },
    ],
    [
      ['workflow-execution-config', 'max-parallelism=5', 'interruptible=false', 'label.team=ml', 'env.A=b'],
      {
        maxParallelism: 5,
        interruptible: false,
        labels: { values: { team: 'ml' } },
        envs: { values: [{ key: 'A', value: 'b' }] },
      },
    ],
    [['cluster-assignment', 'pool'], { clusterPoolName: 'pool' }],
  ])('set %j', async (words, value) => {
    expect(await aloft('attributes', 'set', ...words)).toMatchObject({ code: 0, stderr: '' });
    expect(sent('updateProjectDomainAttributes')).toMatchObject({ value });
  });

  test('of a workflow, of a project, from a file; read, listed and deleted', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'aloft-attributes-')), 'a.yaml');
    await writeFile(file, 'execution_cluster_label: { value: west }\n');
    expect((await aloft('attributes', 'set', 'cluster-label', '--file', file, '--workflow', 'w')).stderr).toBe('');
    expect(sent('updateWorkflowAttributes')).toMatchObject({ value: { value: 'west' } });
    await aloft('attributes', 'set', 'cluster-label', 'x', '--all-domains');
    expect(called('updateProjectAttributes')).toMatchObject([{ attributes: { project: 'flytesnacks' } }]);
    await aloft('attributes', 'delete', 'cluster-label', '--workflow', 'w');
    expect(called('deleteWorkflowAttributes')).toMatchObject([{ ...here, workflow: 'w', resourceType: 3 }]);
    expect((await aloft('attributes', 'list')).code).toBe(0);
    expect(called('listMatchableAttributes')).toHaveLength(8);
    await writeFile(file, 'nonsense: 1\n');
    const bad = await aloft('attributes', 'set', 'cluster-label', '-f', file);
    expect(bad).toMatchObject({ code: 2, stderr: expect.stringContaining('nonsense') });
  });

  test.each([
    [['task-resource', 'cpu=1'], 'default. or limit.'],
    [['quality-of-service', 'soon'], 'time span'],
    [['workflow-execution-config', 'max-parallelism=few'], 'whole number'],
    [['workflow-execution-config', 'colour=red'], 'no setting of runs'],
    [['cluster-label'], 'Which cluster-label?'],
    [['cluster-label', 'a', 'b'], 'one label'],
    [['cluster-label', 'a', '--workflow', 'w', '--all-domains'], 'in one domain'],
  ])('%j is refused, with what would be right', async (words, mention) => {
    expect(await aloft('attributes', 'set', ...words)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(mention),
    });
    expect(platform.calls).toEqual([]);
  });
});

describe('aloft retention', () => {
  test('a policy is set for a scope, read and deleted', async () => {
    await aloft(
      'retention',
      'set',
      '--archive-after',
      '30d',
      '--erase-after',
      '365d',
      '--label',
      'keep=short',
      '--all-domains',
    );
    expect(called('setRetentionPolicy')).toMatchObject([
      {
        policy: {
          scope: { project: 'flytesnacks', domain: '', labelKey: 'keep', labelValue: 'short' },
          archiveAfter: { seconds: 2_592_000n },
          eraseAfter: { seconds: 31_536_000n },
        },
      },
    ]);
    await aloft('retention', 'delete', '--everywhere');
    expect(called('deleteRetentionPolicy')).toMatchObject([{ scope: { project: '', domain: '' } }]);
    expect((await aloft('retention', 'set')).code).toBe(2);
    expect((await aloft('retention', 'set', '--erase-after', 'soon')).stderr).toContain('time span');
  });

  test('an erasure prints its receipt; a dry run that would be refused says so by its exit code', async () => {
    const erasure = {
      id: 'e1',
      execution: { ...here, name: 'r1' },
      executionUid: 'u1',
      state: Erasure_State.DONE,
      removed: { rows: 9n, objects: 3n, bytes: 77n, places: ['s3://aloft/x/'] },
    };
    platform.answers['eraseExecution'] = EraseExecutionResponse.fromPartial({ erasures: [erasure] });
    const { stdout, code } = await aloft('retention', 'erase', 'r1', '-r', 'asked for', '--watch');
    expect(code).toBe(0);
    for (const part of ['flytesnacks/development/r1', 'was erased', '3 of 77 bytes', 's3://aloft/x/'])
      expect(stdout).toContain(part);
    const preview = { ...erasure, state: Erasure_State.PREVIEW, problem: 'held by case-7' };
    platform.answers['eraseExecution'] = EraseExecutionResponse.fromPartial({ erasures: [preview] });
    expect(await aloft('retention', 'erase', 'r1', '--dry-run')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('case-7'),
    });
    expect(called('eraseExecution')).toMatchObject([
      { id: { name: 'r1' }, dryRun: false, reason: 'asked for' },
      { dryRun: true },
    ]);
  });

  test('holds on a run and on a scope', async () => {
    await aloft('retention', 'hold', 'set', 'case-7', 'r1', '-r', 'court');
    await aloft('retention', 'hold', 'set', 'case-8', '--label', 'case', '-r', 'court');
    expect(called('setLegalHold')).toMatchObject([
      { hold: { id: 'case-7', execution: 'r1', scope: here, reason: 'court' } },
      { hold: { id: 'case-8', execution: '', scope: { labelKey: 'case' } } },
    ]);
    expect((await aloft('retention', 'hold', 'set', 'case-9')).code).toBe(2);
  });
});

describe('completion', () => {
  const complete = (...words: string[]) => candidates(program(), words);

  test('commands, their subcommands, options and fixed values', () => {
    expect(complete('exe')).toEqual(['execution']);
    expect(complete('execution', 're')).toEqual(['relaunch', 'recover']);
    expect(complete('get', 'launch')).toEqual(['launch-plans']);
    expect(complete('attributes', 'set', 'cluster-')).toEqual([
      'cluster-resource',
      'cluster-label',
      'cluster-assignment',
    ]);
    expect(complete('-p', 'x', 'retention', 'hold', '')).toEqual(['set', 'remove', 'list']);
    expect(complete('task', 'list', '--fi')).toEqual(['--filter']);
    expect(complete('completion', '')).toEqual(['bash', 'zsh', 'fish']);
    expect(complete('')).not.toContain('__complete');
  });

  test('each shell has a script, and what it asks answers', async () => {
    for (const shell of ['bash', 'zsh', 'fish'])
      expect((await runProgramText('completion', shell)).stdout).toContain('__complete');
    expect((await runProgramText('__complete', '--', 'workf')).stdout).toBe('workflow\n');
  });
});

/** Without an endpoint: these ask no platform. */
async function runProgramText(...argv: string[]) {
  let stdout = '';
  const out = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => ((stdout += String(chunk)), true));
  try {
    return { code: await runProgram(argv), stdout };
  } finally {
    out.mockRestore();
  }
}

test.each([
  ['90s', 90n],
  ['1h30m', 5_400n],
  ['30d', 2_592_000n],
  ['45', 45n],
])('%s is %d seconds', (text, seconds) => expect(secondsOf(text, 'it')).toBe(seconds));

test('spans are told in their two largest units', () => {
  expect([0n, 45n, 5_400n, 2_592_000n, 90_061n].map(spanText)).toEqual(['0s', '45s', '1h 30m', '30d', '1d 1h']);
});
