import { launchOf } from '@aloft/backend-kit/testing';
import { Secret_MountType } from '@aloft/idl/flyteidl/core/security';
import { baseEnvironment, neededBeforeStart, taskEnvironment } from './environment.js';
import { GpuPool } from './gpu-pool.js';
import { testOptions } from './testing/shell-world.js';

const secret = (group: string, key: string, mountRequirement = Secret_MountType.ANY, envVar = '') => ({
  group,
  key,
  mountRequirement,
  envVar,
  groupVersion: '',
});

describe('environments', () => {
  it('tasks see where things are, storage and the platform, but no credentials of the platform', () => {
    const options = testOptions('/d', {
      python: '/venv/bin/python',
      storage: () => ({ endpoint: 'http://localhost:9', accessKeyId: 'a', secretAccessKey: 's' }),
      platformUrl: () => 'localhost:8089',
      passEnv: ['MY_SETTING'],
    });
    const env = baseEnvironment(options, {
      PATH: '/usr/bin',
      LC_ALL: 'C',
      AWS_SECRET_ACCESS_KEY: 'x',
      ALOFT_SECRET_A: 'y',
      MY_SETTING: '1',
    });
    expect(env).toEqual({
      PATH: '/venv/bin:/usr/bin',
      LC_ALL: 'C',
      MY_SETTING: '1',
      PYTHONUNBUFFERED: '1',
      FLYTE_AWS_ENDPOINT: 'http://localhost:9',
      FLYTE_AWS_ACCESS_KEY_ID: 'a',
      FLYTE_AWS_SECRET_ACCESS_KEY: 's',
      FLYTE_PLATFORM_URL: 'localhost:8089',
      FLYTE_PLATFORM_INSECURE: 'true',
    });
  });

  it('what is read while a worker starts asks for a cold start, unless the worker has the same', () => {
    const base = { FLYTE_AWS_ENDPOINT: 'e' };
    expect(
      neededBeforeStart({ FLYTE_AWS_ENDPOINT: 'e', FLYTE_INTERNAL_TASK_NAME: 't', PYTHONPATH: 'p' }, base),
    ).toBeUndefined();
    expect(neededBeforeStart({ FLYTE_AWS_ENDPOINT: 'other' }, base)).toBe('FLYTE_AWS_ENDPOINT');
    expect(neededBeforeStart({ OMP_NUM_THREADS: '1' }, base)).toBe('OMP_NUM_THREADS');
    expect(neededBeforeStart({ NODE_OPTIONS: '--x' }, base)).toBe('NODE_OPTIONS');
  });

  it('C-175: secrets come as variables or files, under the names that flytekit looks for', () => {
    const launch = launchOf({ name: 'a' });
    launch.securityContext = {
      runAs: undefined,
      tokens: [],
      secrets: [secret('DB', 'password'), secret('tls', 'Key', Secret_MountType.FILE, 'TLS_KEY')],
    };
    const options = testOptions('/d', { secret: ({ key }) => `value of ${key}` });
    const { env, files } = taskEnvironment(launch, options, { id: 'a', folder: '/f', gpus: [] });
    expect(env).toMatchObject({
      _FSEC_DB_PASSWORD: 'value of password',
      FLYTE_SECRETS_DEFAULT_DIR: '/f/secrets',
      FLYTE_SECRETS_FILE_PREFIX: '',
      TLS_KEY: '/f/secrets/tls/key',
      TMPDIR: '/f/tmp',
    });
    expect(files).toEqual([{ path: 'secrets/tls/key', text: 'value of Key' }]);
    expect(() => taskEnvironment(launch, testOptions('/d'), { id: 'a', folder: '/f', gpus: [] })).toThrow(
      'secret "DB/password" is not known here: set ALOFT_SECRET_DB_PASSWORD',
    );
  });

  it('each attempt sees the GPUs that it was given, others none', () => {
    const options = testOptions('/d');
    options.capacity.gpuDevices = ['0', '1', '2'];
    const pool = new GpuPool(options.capacity.gpuDevices);
    pool.reclaim('old', ['1']);
    const gpus = pool.take('new', 2);
    expect(
      taskEnvironment(launchOf({ name: 'a' }), options, { id: 'a', folder: '/f', gpus }).env['CUDA_VISIBLE_DEVICES'],
    ).toBe('0,2');
    expect(pool.take('new', 2)).toEqual(['0', '2']);
    expect(
      taskEnvironment(launchOf({ name: 'a' }), options, { id: 'a', folder: '/f', gpus: [] }).env[
        'CUDA_VISIBLE_DEVICES'
      ],
    ).toBe('');
    pool.release('new');
    expect(pool.take('next', 1)).toEqual(['0']);
  });
});
