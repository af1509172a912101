import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jest } from '@jest/globals';
import { WatchExecutionResponse } from '@aloft/idl/aloft/v1/watch';
import { LiteralMap, type Literal } from '@aloft/idl/flyteidl/core/literals';
import { ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { formatLiteral, literalOf } from '@aloft/literals';
import { main as executeTask } from '@aloft/sdk/execute';
import { bundleFile } from './bundle/bundle.js';
import { runProgram } from './program.js';
import { FakePlatform } from './testing/fake-platform.js';

const fixture = join(dirname(fileURLToPath(import.meta.url)), 'testing', 'fixture-pipeline.ts');
let platform: FakePlatform;

beforeAll(async () => {
  platform = await FakePlatform.start();
});
afterAll(() => platform.stop());
afterEach(() => jest.restoreAllMocks());

/** Runs the command line in this process; answers what it printed and its exit code. */
async function aloft(...argv: string[]) {
  let stdout = '';
  let stderr = '';
  const out = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => ((stdout += String(chunk)), true));
  const err = jest.spyOn(process.stderr, 'write').mockImplementation((chunk) => ((stderr += String(chunk)), true));
  process.exitCode = undefined;
  try {
    const code = await runProgram([...argv, '--endpoint', platform.endpoint]);
    return { code, stdout, stderr, json: () => JSON.parse(stdout) as Record<string, unknown> };
  } finally {
    process.exitCode = undefined;
    out.mockRestore();
    err.mockRestore();
  }
}

const change = (event: object): WatchExecutionResponse =>
  WatchExecutionResponse.fromPartial({ update: { $case: 'event', value: event as never } });
const at = (seconds: number) => ({ seconds: BigInt(1_000 + seconds), nanos: 0 });
const nodeEvent = (sequence: bigint, nodeId: string, phase: number, more: object = {}) =>
  change({
    sequence,
    event: {
      $case: 'node',
      value: {
        id: { nodeId, executionId: undefined },
        specNodeId: nodeId,
        nodeName: `name of ${nodeId}`,
        phase,
        occurredAt: at(Number(sequence)),
        ...more,
      },
    },
  });
const runEvent = (sequence: bigint, phase: number, more: object = {}) =>
  change({ sequence, event: { $case: 'workflow', value: { phase, occurredAt: at(Number(sequence)), ...more } } });

describe('aloft register', () => {
  test('bundles the file, stores the bundle and registers all that it exports; again, everything is unchanged', async () => {
    const first = await aloft('register', fixture, '--output', 'json', '--activate');
    expect(first.stderr).toBe('');
    expect(first.code).toBe(0);
    const { entities, version } = first.json() as {
      entities: { kind: string; id: { name: string }; outcome: string }[];
      version: string;
    };
    const names = entities.map(({ kind, id }) => `${kind} ${id.name}`);
    expect([...names].sort()).toEqual([
      'launch plan fixture-pipeline.again',
      'launch plan fixture-pipeline.nightly',
      'launch plan fixture-pipeline.pipeline',
      'task fixture-pipeline.add',
      'task fixture-pipeline.shout',
      'workflow fixture-pipeline.again',
      'workflow fixture-pipeline.pipeline',
    ]);
    // What calls a launch plan comes after it: the platform refuses references to what it does not know.
    expect(names.indexOf('launch plan fixture-pipeline.nightly')).toBeLessThan(
      names.indexOf('workflow fixture-pipeline.again'),
    );
    expect(entities.every(({ outcome }) => outcome === 'created')).toBe(true);
    expect(platform.activated).toEqual([`fixture-pipeline.nightly@${version}`]);
    const again = await aloft('register', fixture);
    expect(again.stdout).toContain('unchanged');
    expect(again.stdout).not.toContain('created');
  });

  test('the version may be given', async () => {
    const { stdout, code } = await aloft('register', fixture, '--output', 'json', '--version', 'mine');
    expect([code, (JSON.parse(stdout) as { version: string }).version]).toEqual([0, 'mine']);
  });

  test('a bundle’s bytes depend on its sources alone', async () => {
    const [a, b] = [await bundleFile(fixture), await bundleFile(fixture)];
    expect(a.archive.equals(b.archive)).toBe(true);
  });

  test.each<[string, string, string]>([
    ['a missing file', '', 'There is no file'],
    ['a file that does not parse', 'export const x = {', 'cannot be bundled'],
    [
      'a file without exports',
      "import { t } from '@aloft/sdk'; export const x = t.int;",
      'exports no task, workflow or launch plan',
    ],
    [
      'a package that is not installed',
      "import 'not-installed-anywhere';",
      'Could not resolve "not-installed-anywhere"',
    ],
    [
      'a workflow with a wrong connection',
      "import { t, task, workflow } from '@aloft/sdk'; export const a = task({ outputs: { s: t.string } }, () => ({ s: '' })); export const b = task({ inputs: { n: t.int } }, () => ({})); export const w = workflow({}, () => { b({ n: a().s }); return {}; });",
      "must be int, but output 's' of n0 is string",
    ],
  ])('%s is a mistake of the caller (exit code 2) and says what is wrong', async (_name, source, message) => {
    const path = join(dirname(fixture), `broken-${Buffer.from(message).toString('hex').slice(0, 12)}.ts`);
    const { writeFile: write, rm } = await import('node:fs/promises');
    if (source) await write(path, source);
    try {
      const { code, stderr } = await aloft('register', path);
      expect(stderr).toContain(message);
      expect(code).toBe(2);
    } finally {
      await rm(path, { force: true });
    }
  });
});

describe('a registered bundle', () => {
  const execute = async (text: string) => {
    const { bundle, distribution } = await registered();
    const folder = await mkdtemp(join(tmpdir(), 'aloft-cli-spec-'));
    await writeFile(join(folder, 'words.txt'), text);
    await writeFile(
      join(folder, 'inputs.pb'),
      LiteralMap.encode({
        literals: { text: literalOf.blob(join(folder, 'words.txt'), 'txt', 0), loud: literalOf.boolean(true) },
      }).finish(),
    );
    jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    const outcome = await executeTask(
      [
        '--inputs',
        join(folder, 'inputs.pb'),
        '--output-prefix',
        folder,
        '--raw-output-data-prefix',
        's3://aloft/raw/x',
        '--additional-distribution',
        distribution,
        '--module',
        bundle.module,
        '--task',
        'fixture-pipeline.shout',
      ],
      { env: { ...platform.taskEnvironment, ALOFT_BUNDLE_DIR: join(folder, 'bundles'), TMPDIR: folder } },
    );
    return { outcome, folder };
  };
  const registered = async () => {
    const { connect } = await import('./connection.js');
    const { registerFile } = await import('./register.js');
    const connection = connect({ endpoint: platform.endpoint, project: 'flytesnacks', domain: 'development' });
    try {
      return await registerFile(connection, fixture);
    } finally {
      connection.close();
    }
  };

  test('runs from blob storage and stores its files there', async () => {
    const { outcome, folder } = await execute('hello');
    expect(outcome).toBe('succeeded');
    const { literals } = LiteralMap.decode(await readFile(join(folder, 'outputs.pb')));
    expect(formatLiteral(literals['text'])).toMatch(/^s3:\/\/aloft\/raw\/x\/[0-9a-f]{32}\/loud\.txt/);
  });

  test('fails with the author’s file and line', async () => {
    const { outcome, folder } = await execute('please fail');
    expect(outcome).toBe('failed');
    const { error } = ErrorDocument.decode(await readFile(join(folder, 'error.pb')));
    expect(error!.code).toBe('USER:RangeError');
    expect(error!.message).toContain('asked to fail');
  });
});

describe('aloft run', () => {
  const inputsOf = (): Record<string, Literal> => platform.created.at(-1)!.inputs!.literals;

  test('a file: registers it, takes inputs as options, stores files, starts the run', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aloft-run-spec-'));
    await writeFile(join(folder, 'words.txt'), 'some words');
    const { code, stdout, stderr } = await aloft(
      'run',
      fixture,
      'pipeline',
      '--text',
      join(folder, 'words.txt'),
      '--numbers',
      '[1, 2]',
      '--some-factor',
      '2.5',
      '--mode=slow',
      '--loud',
      '--name',
      'mine',
      '--overwrite-cache',
    );
    expect(stderr).toContain('Registered');
    expect(code).toBe(0);
    expect(stdout).toContain('Started mine. Follow it: aloft watch mine');
    expect(platform.created.at(-1)!.spec!.overwriteCache).toBe(true);
    const inputs = inputsOf();
    expect(formatLiteral(inputs['text'])).toMatch(/^s3:\/\/aloft\/flytesnacks\/development\/.*words\.txt/);
    expect(inputs['numbers']).toMatchObject(literalOf.collection([1, 2].map((n) => literalOf.integer(n))));
    expect(inputs['some_factor']).toMatchObject(literalOf.float(2.5));
    expect(inputs['mode']).toMatchObject(literalOf.string('slow'));
    expect(inputs['loud']).toMatchObject(literalOf.boolean(true));
    expect(inputs['note']).toBeUndefined();
  });

  test('a launch plan: inputs from a YAML file, options win over it', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'aloft-run-spec-')), 'inputs.yaml');
    await writeFile(file, 'text: s3://aloft/there.txt\nnumbers: [7]\nnote: null\nsome_factor: 1\n');
    const { code } = await aloft('run', 'fixture-pipeline.pipeline', '--inputs-file', file, '--some_factor', '3');
    expect(code).toBe(0);
    expect(formatLiteral(inputsOf()['text'])).toContain('s3://aloft/there.txt');
    expect(inputsOf()['some_factor']).toMatchObject(literalOf.float(3));
    expect(formatLiteral(inputsOf()['note'])).toBe('none');
  });

  test.each<[string, string[], string]>([
    ['a missing input', ['--numbers', '[]'], 'fixture-pipeline.pipeline needs --text <'],
    ['an unknown input', ['--nonsense', '1'], "unknown option '--nonsense'"],
    ['a list that is none', ['--text', 's3://a/b', '--numbers', '3'], '--numbers must be'],
    ['an item of another type', ['--text', 's3://a/b', '--numbers', '[1, "x"]'], '--numbers[1] must be'],
    [
      'a stranger to an enum',
      ['--text', 's3://a/b', '--numbers', '[]', '--mode', 'idle'],
      '--mode must be one of fast, slow, but it is "idle"',
    ],
    ['a file that is not there', ['--text', '/nowhere.txt', '--numbers', '[]'], 'There is no file /nowhere.txt'],
  ])('%s is refused before anything starts', async (_name, inputs, message) => {
    const before = platform.created.length;
    const { code, stderr } = await aloft('run', 'fixture-pipeline.pipeline', ...inputs);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
    expect(platform.created).toHaveLength(before);
  });

  test('--help after a target shows its inputs', async () => {
    const { stdout, code } = await aloft('run', 'fixture-pipeline.pipeline', '--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/--text <value>\s+.*what to shout.*\(required\)/s);
    expect(stdout).toMatch(/--some-factor <value>.*default 0\.5/s);
  });

  test('with --wait the exit code is the outcome, and outputs are printed', async () => {
    platform.outputs = { literals: { all: literalOf.collection([literalOf.integer(8)]) } };
    platform.script = [runEvent(1n, 2), nodeEvent(2n, 'n0', 2), nodeEvent(3n, 'n0', 3), runEvent(4n, 4)];
    const good = await aloft('run', 'fixture-pipeline.pipeline', '--text', 's3://a/b', '--numbers', '[]', '--wait');
    expect(good.code).toBe(0);
    expect(good.stdout).toBe('all: [8]\n');
    expect(good.stderr).toContain('name of n0');
    platform.script = [
      runEvent(1n, 2),
      nodeEvent(2n, 'n0', 5, {
        outputResult: { $case: 'error', value: { code: 'USER:Error', message: 'it broke\n at line 3' } },
      }),
      runEvent(3n, 6),
    ];
    const bad = await aloft('run', 'fixture-pipeline.pipeline', '--text', 's3://a/b', '--numbers', '[]', '--wait');
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain('name of n0 (n0): USER:Error\nit broke\n at line 3');
  });
});

describe('other commands', () => {
  test('watch tells catalog hits, items of maps and children; as JSON it prints each change', async () => {
    platform.script = [
      runEvent(1n, 2),
      nodeEvent(2n, 'n0', 3, { targetMetadata: { $case: 'taskNodeMetadata', value: { cacheStatus: 2 } } }),
      nodeEvent(3n, 'n1', 2, { isParent: true }),
      nodeEvent(4n, 'n1-0-n0', 3, { parentNodeMetadata: { nodeId: 'n1' } }),
      nodeEvent(5n, 'n2', 7),
      runEvent(6n, 4),
    ];
    const text = await aloft('watch', 'run1');
    expect(text.code).toBe(0);
    expect(text.stderr).toContain('from the catalog');
    expect(text.stderr).toContain('skipped');
    const json = await aloft('watch', 'run1', '-o', 'json');
    const lines = json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: { sequence: string } });
    expect(lines.map(({ event }) => event.sequence)).toEqual(['1', '2', '3', '4', '5', '6']);
  });

  test('watch of a run that is over shows what it was: its name and all its nodes', async () => {
    platform.script = [
      WatchExecutionResponse.fromPartial({
        update: {
          $case: 'snapshot',
          value: {
            execution: { id: { name: 'run1' }, closure: { phase: 4 } },
            nodes: ['n0', 'n1'].map((nodeId) => ({ id: { nodeId }, closure: { phase: 3 } })),
          },
        },
      }),
    ];
    const { code, stderr } = await aloft('watch', 'run1');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^run1 SUCCEEDED.*\n.*n0.*\n.*n1/);
  });

  test('logs prints a node’s lines, or every node’s with its name', async () => {
    platform.logs = { n0: 'one\ntwo\n', 'n1-0-n0': 'three' };
    const ids = ['n0', 'n1', 'n1-0-n0'].map((nodeId) => ({ nodeId, executionId: undefined }));
    platform.script = [
      WatchExecutionResponse.fromPartial({
        update: {
          $case: 'snapshot',
          value: {
            nodes: ids.map((id) => ({ id })),
            tasks: [ids[0], ids[2]].map((nodeExecutionId) => ({ id: { nodeExecutionId, retryAttempt: 0 } })),
          },
        },
      }),
    ];
    expect((await aloft('logs', 'run1', 'n0')).stdout).toBe('one\ntwo\n');
    expect((await aloft('logs', 'run1')).stdout).toBe('n0 │ one\nn0 │ two\nn1-0-n0 │ three\n');
    const { code, stderr } = await aloft('logs', 'run1', 'n9');
    expect([code, stderr]).toEqual([2, expect.stringContaining("run1 has no node 'n9'.\n  It has n0, n1, n1-0-n0")]);
  });

  test('get lists as a table or as JSON', async () => {
    const text = await aloft('get', 'launch-plans');
    expect(text.stdout).toContain('fixture-pipeline.nightly');
    const json = JSON.parse((await aloft('get', 'executions', 'run1', '--output', 'json')).stdout) as {
      id: { name: string };
    }[];
    expect(json[0]!.id.name).toBe('run1');
  });

  test('errors say what, where and what next, with their exit code', async () => {
    const unknown = await aloft('get', 'executions', 'unknown');
    expect([unknown.code, unknown.stderr]).toEqual([
      3,
      expect.stringContaining('execution flytesnacks/development/unknown does not exist'),
    ]);
    const json = await aloft('get', 'executions', 'unknown', '-o', 'json');
    expect((JSON.parse(json.stderr) as { error: { code: string } }).error.code).toBe('NOT_FOUND');
    const kind = await aloft('get', 'nonsense');
    expect([kind.code, kind.stderr]).toEqual([2, expect.stringContaining('Allowed choices are projects, tasks')]);
    const err = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await runProgram(['get', 'executions', '--endpoint', '127.0.0.1:9'])).toBe(3);
    expect(err.mock.calls.map(([text]) => String(text)).join('')).toContain(
      'No platform answers at 127.0.0.1:9.\n  Start one with `npm start`',
    );
  });
});
