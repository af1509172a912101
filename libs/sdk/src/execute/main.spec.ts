import { mkdir, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jest } from '@jest/globals';
import { DynamicJobSpec } from '@aloft/idl/flyteidl/core/dynamic_job';
import { ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { LiteralMap, type Literal } from '@aloft/idl/flyteidl/core/literals';
import { literalOf } from '@aloft/literals';
import { main } from './main.js';

const fixture = join(dirname(dirname(fileURLToPath(import.meta.url))), 'testing', 'execute-fixture.ts');

interface Call {
  task: string;
  inputs?: Record<string, Literal>;
  args?: string[];
  env?: Record<string, string>;
}

async function execute({ task, inputs = {}, args = [], env = {} }: Call) {
  const folder = await mkdtemp(join(tmpdir(), 'aloft-execute-spec-'));
  const prefix = join(folder, 'out');
  await mkdir(prefix);
  await writeFile(join(folder, 'inputs.pb'), LiteralMap.encode({ literals: inputs }).finish());
  const outcome = await main(
    [
      'aloft-execute',
      '--inputs',
      join(folder, 'inputs.pb'),
      '--output-prefix',
      prefix,
      '--raw-output-data-prefix',
      join(folder, 'raw'),
      '--checkpoint-path',
      join(folder, 'checkpoints'),
      '--prev-checkpoint',
      '""',
      ...args,
      '--module',
      fixture,
      '--task',
      `execute-fixture.${task}`,
    ],
    { env: { TMPDIR: folder, FLYTE_INTERNAL_EXECUTION_ID: 'run1', FLYTE_INTERNAL_TASK_VERSION: 'v7', ...env } },
  );
  const read = (name: string) => readFile(join(prefix, name));
  return {
    outcome,
    folder,
    files: (await readdir(prefix)).sort(),
    read,
    outputs: async () => LiteralMap.decode(await read('outputs.pb')).literals,
    error: async () => ErrorDocument.decode(await read('error.pb')).error!,
  };
}

describe('aloft-execute', () => {
  beforeEach(() => jest.spyOn(process.stderr, 'write').mockReturnValue(true));
  afterEach(() => jest.restoreAllMocks());

  test('C-100, C-110: reads inputs.pb, fills defaults, leaves outputs.pb and deck.html and no temporary files', async () => {
    const run = await execute({ task: 'greet', inputs: { name: literalOf.string('Ada') } });
    expect(run.outcome).toBe('succeeded');
    expect(run.files).toEqual(['deck.html', 'outputs.pb']);
    expect((await run.outputs())['greeting']).toMatchObject(literalOf.string('hello Ada'));
    expect((await run.read('deck.html')).toString()).toContain('<p>in run1</p>');
    expect((await readdir(run.folder)).filter((name) => name.startsWith('aloft-task-'))).toEqual([]);
  });

  test('C-101: files are fetched when used and stored under the raw output prefix', async () => {
    const source = join(await mkdtemp(join(tmpdir(), 'aloft-source-')), 'in.txt');
    await writeFile(source, 'some text');
    const run = await execute({ task: 'pipe', inputs: { file: literalOf.blob(source, 'txt', 0) } });
    const outputs = await run.outputs();
    const uriOf = (name: string): string => {
      const scalar = outputs[name]!.value?.$case === 'scalar' ? outputs[name]!.value.value.value : undefined;
      return scalar?.$case === 'blob' ? scalar.value.uri : '';
    };
    expect(uriOf('file').startsWith(join(run.folder, 'raw'))).toBe(true);
    expect(await readFile(uriOf('file'), 'utf8')).toBe('SOME TEXT');
    expect(await readdir(uriOf('folder'))).toEqual(['upper.txt']);
  });

  test("C-170: a task's own error is final, with its cause and stack; a RecoverableError may be tried again", async () => {
    const final = await execute({ task: 'fail', inputs: { how: literalOf.string('badly') } });
    expect([final.outcome, final.files]).toEqual(['failed', ['error.pb']]);
    const error = await final.error();
    expect(error).toMatchObject({ code: 'USER:RangeError', kind: 0, origin: 1 });
    expect(error.message).toMatch(/broken: badly[\s\S]*execute-fixture[\s\S]*Caused by: Error: the root of it/);
    expect(Number(error.timestamp!.seconds)).toBeGreaterThan(1_700_000_000);
    const again = await execute({ task: 'fail', inputs: { how: literalOf.string('recoverable') } });
    expect(await again.error()).toMatchObject({ code: 'USER:RecoverableError', kind: 1, origin: 1 });
  });

  test('what is missing or of the wrong type is said with its name', async () => {
    const wrong = await execute({ task: 'greet', inputs: { name: literalOf.integer(3) } });
    expect((await wrong.error()).message).toContain(
      "task execute-fixture.greet: input 'name' must be string, but it is integer",
    );
    const missing = await execute({ task: 'greet' });
    expect((await missing.error()).message).toContain("input 'name' (string) is missing; given are none");
    const unknown = await execute({ task: 'nothing' });
    expect((await unknown.error()).message).toContain(
      "There is no task 'execute-fixture.nothing' in execute-fixture; it has execute-fixture.fail, execute-fixture.fan",
    );
  });

  test('a bundle that cannot be read is a failure of the system, which the platform may try again', async () => {
    const run = await execute({
      task: 'greet',
      args: ['--additional-distribution', '/nowhere/bundle.tar.gz'],
      env: { ALOFT_BUNDLE_DIR: await mkdtemp(join(tmpdir(), 'aloft-bundles-')) },
    });
    expect(await run.error()).toMatchObject({ code: 'SYSTEM:TaskSystemError', kind: 1, origin: 2 });
  });

  test('C-142: an item of a map knows its index', async () => {
    const inputs = { n: literalOf.integer(3), add: literalOf.integer(100) };
    const env = {
      BATCH_JOB_ARRAY_INDEX_VAR_NAME: 'FLYTE_K8S_ARRAY_INDEX',
      FLYTE_K8S_ARRAY_INDEX: '1',
      BATCH_JOB_ARRAY_INDEX_OFFSET: '4',
    };
    const item = await execute({ task: 'square', inputs, env });
    expect((await item.outputs())['n']).toMatchObject(literalOf.integer(109));
    expect((await item.outputs())['index']).toMatchObject(literalOf.integer(5));
    const alone = await execute({ task: 'square', inputs });
    expect((await alone.outputs())['index']).toMatchObject(literalOf.integer(-1));
  });

  test('C-109, C-175: checkpoints and secrets', async () => {
    const first = await execute({ task: 'resume', env: { _FSEC_SVC_TOKEN: 's3cret' } });
    expect((await first.outputs())['text']).toMatchObject(literalOf.string('|s3cret'));
    const second = await execute({
      task: 'resume',
      args: ['--prev-checkpoint', join(first.folder, 'checkpoints')],
      env: { FLYTE_ATTEMPT_NUMBER: '1', FLYTE_SECRETS_DEFAULT_DIR: '/nowhere' },
    });
    expect((await second.error()).message).toContain('is neither in _FSEC_SVC_TOKEN nor in /nowhere/svc/token');
    expect(await readFile(join(second.folder, 'checkpoints', 'checkpoint'), 'utf8')).toBe('01');
  });

  test('C-150: a dynamic task leaves futures.pb with nodes dn0, dn1, … and the templates that they run', async () => {
    const run = await execute({ task: 'fan', inputs: { n: literalOf.integer(3) } });
    expect(run.files).toEqual(['futures.pb']);
    const spec = DynamicJobSpec.decode(await run.read('futures.pb'));
    expect(spec.nodes.map(({ id }) => id)).toEqual(['dn0', 'dn1', 'dn2']);
    expect(spec.minSuccesses).toBe(3n);
    expect(spec.tasks.map(({ id }) => [id!.name, id!.version])).toEqual([['execute-fixture.square', 'v7']]);
    expect(spec.outputs[0]!.binding!.value!.$case).toBe('collection');
  });

  test('arguments that make no sense are refused', async () => {
    await expect(main(['--inputs', 'x'])).rejects.toThrow('aloft-execute: --output-prefix is missing');
    await expect(main(['--bogus'])).rejects.toThrow("Unknown option '--bogus'");
  });
});
