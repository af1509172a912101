import { launchOf } from '@aloft/backend-kit/testing';
import { createLocalBlobStore } from '@aloft/blob';
import { commandLine } from './command-line.js';

describe('command lines', () => {
  const blob = createLocalBlobStore({ dir: '/blobs' });
  const data = 's3://aloft/metadata/propeller/flytesnacks-development-run1/run1-n0-0/data';
  const local = data.replace('s3:/', '/blobs');
  const of = (args: string[], command: string[] = []) =>
    commandLine(launchOf({ name: 'run1-n0-0', args, command }), blob);

  const execute = (inputs: string, outputs: string) => [
    ...[
      'pyflyte-execute',
      '--inputs',
      inputs,
      '--output-prefix',
      outputs,
      '--raw-output-data-prefix',
      's3://aloft/data/x',
    ],
    ...['--checkpoint-path', 's3://aloft/data/x/_flytecheckpoints', '--prev-checkpoint', '""', '--resolver', 'r', '--'],
    ...['task-module', 'm', 'task-name', 't'],
  ];

  it('metadata becomes plain paths, raw data and checkpoints stay in blob storage', () => {
    expect(of(execute(`${data}/inputs.pb`, `${data}/1`))).toEqual({
      start: 'python',
      argv: execute(`${local}/inputs.pb`, `${local}/1`),
    });
  });

  it('locations within other text are replaced too, longer names that begin alike are not', () => {
    const { argv } = of([`--in=${data}/inputs.pb`, `cat ${data}/1/outputs.pb`, `${data}base/1`, `${data}`], ['prog']);
    expect(argv).toEqual(['prog', `--in=${local}/inputs.pb`, `cat ${local}/1/outputs.pb`, `${data}base/1`, local]);
  });

  it.each(['/root', '.'])('fast registration to %s unpacks into the working folder instead', (dest) => {
    const inner = execute(`${data}/inputs.pb`, `${data}/1`);
    const line = of([
      'pyflyte-fast-execute',
      '--additional-distribution',
      's3://aloft/c/f.tar.gz',
      '--dest-dir',
      dest,
      '--',
      ...inner,
    ]);
    expect(line.bundleUri).toBe('s3://aloft/c/f.tar.gz');
    expect(line.start).toBe('python');
    expect(line.argv.slice(11)).toEqual([
      ...['--dynamic-addl-distro', 's3://aloft/c/f.tar.gz', '--dynamic-dest-dir', '.', '--resolver', 'r', '--'],
      ...['task-module', 'm', 'task-name', 't'],
    ]);
  });

  it('options may be written with =', () => {
    const line = of([
      'pyflyte-fast-execute',
      '--additional-distribution=s3://a/b.tar.gz',
      '--dest-dir=/root',
      '--',
      'my-program',
    ]);
    expect(line).toEqual({ start: 'cold', argv: ['my-program'], bundleUri: 's3://a/b.tar.gz' });
  });

  it('map items fork like others; any other program starts cold', () => {
    expect(of(['pyflyte-map-execute', '--inputs', 'x']).start).toBe('python');
    expect(of(['/opt/venv/bin/pyflyte-execute']).start).toBe('python');
    expect(of(['sh', '-c', 'true'])).toEqual({ start: 'cold', argv: ['sh', '-c', 'true'] });
  });

  it('TypeScript tasks keep the URI of their bundle: dynamic ones name it', () => {
    const args = ['--inputs', `${data}/inputs.pb`, '--additional-distribution', 's3://a/b.tar.gz', '--module', 'm.js'];
    expect(of(['aloft-execute', ...args])).toEqual({
      start: 'node',
      bundleUri: 's3://a/b.tar.gz',
      argv: ['--inputs', `${local}/inputs.pb`, ...args.slice(2)],
    });
  });
});
