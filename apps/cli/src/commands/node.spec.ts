import { jest } from '@jest/globals';
import { DescribeNodeResponse, Revision } from '@aloft/idl/aloft/v1/control';
import { TaskSpec } from '@aloft/idl/flyteidl/admin/task';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { literalOf, typeOf } from '@aloft/literals';
import { runProgram } from '../program.js';
import { FakePlatform } from '../testing/fake-platform.js';

// Real: the command line and gRPC. In the platform's place stands one that writes down what it is told.
let platform: FakePlatform;
beforeAll(async () => {
  platform = await FakePlatform.start();
});
afterAll(() => platform.stop());

const task = {
  resourceType: ResourceType.TASK,
  org: '',
  project: 'flytesnacks',
  domain: 'development',
  name: 'train',
  version: 'v1',
};
const variables = (types: Record<string, ReturnType<typeof typeOf.integer>>) => ({
  variables: Object.fromEntries(Object.entries(types).map(([name, type]) => [name, { type, description: '' }])),
});

beforeEach(() => {
  platform.controls.length = 0;
  platform.refusal = '';
  platform.node = DescribeNodeResponse.fromPartial({
    specPath: 'n1',
    inputs: variables({ rounds: typeOf.integer() }),
    outputs: variables({ score: typeOf.float(), names: typeOf.collection(typeOf.string()) }),
    task,
  });
});
afterEach(() => jest.restoreAllMocks());

async function aloft(...argv: string[]) {
  let stdout = '';
  let stderr = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => ((stdout += String(chunk)), true));
  jest.spyOn(process.stderr, 'write').mockImplementation((chunk) => ((stderr += String(chunk)), true));
  process.exitCode = undefined;
  const code = await runProgram(['node', ...argv, '--endpoint', platform.endpoint]);
  process.exitCode = undefined;
  return { code, stdout, stderr };
}
const id = { nodeId: 'n1', executionId: { org: '', project: 'flytesnacks', domain: 'development', name: 'run1' } };

describe('aloft node', () => {
  test('X-6: cancels, with its cause and id', async () => {
    const { code, stdout } = await aloft(
      ...['cancel', 'run1', 'n1', '--skip-downstream', '-c', 'too slow', '--command-id', 'c1'],
    );
    expect([code, stdout]).toEqual([0, 'n1 of run1 is cancelled (revision 1).\n']);
    expect(platform.controls).toMatchObject([
      ['cancel', { id, cause: 'too slow', commandId: 'c1', skipDownstream: true }],
    ]);
  });

  test('X-6: retries; --output json is the response', async () => {
    const { code, stdout } = await aloft('retry', 'run1', 'n1', '--output', 'json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      revision: { number: 1, state: 'APPLIED' },
      execution: { name: 'run1' },
    });
  });

  test('X-6: sets outputs, read as what the node gives', async () => {
    const { code } = await aloft('set-outputs', 'run1', 'n1', 'score=0.5', 'names=["a","b"]');
    expect(code).toBe(0);
    const names = literalOf.collection([literalOf.string('a'), literalOf.string('b')]);
    expect(platform.controls).toMatchObject([
      ['setOutputs', { id, outputs: { literals: { score: literalOf.float(0.5), names } } }],
    ]);
    const wrong = await aloft('set-outputs', 'run1', 'n1', 'score=good');
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('score must be float')]);
    const unknown = await aloft('set-outputs', 'run1', 'n1', 'points=1');
    expect([unknown.code, unknown.stderr]).toEqual([
      2,
      expect.stringContaining("There is no output 'points'.\n  The outputs are score (float), names (list"),
    ]);
    const shapeless = await aloft('set-outputs', 'run1', 'n1', 'score');
    expect([shapeless.code, shapeless.stderr]).toEqual([2, expect.stringContaining("'score' is not name=value")]);
  });

  test('X-6: reruns with other inputs, another version and other resources', async () => {
    const template = { id: { ...task, version: 'v2' }, interface: { inputs: variables({ depth: typeOf.integer() }) } };
    platform.tasks.set('train@v2', TaskSpec.fromPartial({ template }));
    const { code } = await aloft(
      ...['rerun', 'run1', 'n1', 'rounds=5', 'depth=3', '--version', 'v2', '--memory', '4Gi', '--name', 'run2'],
    );
    expect(code).toBe(0);
    const memory = [{ name: 3, value: '4Gi' }];
    expect(platform.controls).toMatchObject([
      [
        'rerun',
        {
          id,
          name: 'run2',
          inputs: { literals: { rounds: literalOf.integer(5n), depth: literalOf.integer(3n) } },
          task: { ...task, version: 'v2' },
          resources: { requests: memory, limits: memory },
        },
      ],
    ]);
    const plain = await aloft('rerun', 'run1', 'n1');
    expect(plain.code).toBe(0);
    expect(platform.controls[1]).toMatchObject(['rerun', { inputs: undefined, task: undefined, resources: undefined }]);
  });

  test('X-6: what the platform refuses is said, with exit code 3', async () => {
    platform.refusal = 'node n1 of execution flytesnacks/development/run1: it has not begun';
    const { code, stderr } = await aloft('retry', 'run1', 'n1');
    expect([code, stderr]).toEqual([3, expect.stringContaining('it has not begun')]);
  });

  test('X-6: what is missing on the command line is said, with exit code 2', async () => {
    const { code, stderr } = await aloft('cancel', 'run1');
    expect([code, stderr]).toEqual([2, expect.stringContaining("missing required argument 'node'")]);
  });

  test('X-6: lists revisions', async () => {
    platform.revisions = [
      Revision.fromPartial({
        number: 1,
        state: 1,
        at: { seconds: 0n, nanos: 0 },
        control: {
          nodeId: 'n1',
          principal: 'ann',
          cause: 'bad data',
          control: {
            $case: 'rerun',
            value: {
              inputs: { literals: { rounds: literalOf.integer(5n) } },
              task: { id: { ...task, version: 'v2' } },
            },
          },
        },
        execution: id.executionId,
      }),
      Revision.fromPartial({
        number: 2,
        state: 2,
        refused: 'it has not begun',
        control: { nodeId: 'n2', control: { $case: 'retry', value: {} } },
      }),
    ];
    const { stdout } = await aloft('revisions', 'run1');
    expect(stdout).toContain('rerun, with rounds=5, task train@v2 → run1');
    for (const part of ['ann', 'bad data', '1970-01-01 00:00:00', 'refused: it has not begun', 'anonymous'])
      expect(stdout).toContain(part);
    const json = JSON.parse((await aloft('revisions', 'run1', '-o', 'json')).stdout) as { number: number }[];
    expect(json.map(({ number }) => number)).toEqual([1, 2]);
  });
});
