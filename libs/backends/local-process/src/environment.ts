import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { invalidArgument } from '@aloft/errors';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { Secret_MountType } from '@aloft/idl/flyteidl/core/security';
import { attemptMark, attemptVariable } from './launcher/attempt-variable.js';
import type { LocalProcessOptions } from './options.js';

/** What of the platform's own environment tasks may see: where things are and how to speak, no credentials. */
const harmless =
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|LD_LIBRARY_PATH|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|(https?|no|all)_proxy|VIRTUAL_ENV|CONDA_PREFIX|PYENV_ROOT|PYENV_VERSION|JAVA_HOME|SPARK_HOME)$/i;

/** Before anything of the task itself: what warm workers are started with, too. */
export function baseEnvironment(
  options: LocalProcessOptions,
  from: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(from))
    if (value !== undefined && (harmless.test(name) || options.passEnv.includes(name))) env[name] = value;
  const bin = isAbsolute(options.python) ? dirname(options.python) : undefined;
  const path = env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
  env['PATH'] = bin === undefined || path.split(delimiter).includes(bin) ? path : `${bin}${delimiter}${path}`;
  env['PYTHONUNBUFFERED'] = '1';
  const storage = options.storage();
  const flyte: Record<string, string | undefined> = {
    FLYTE_AWS_ENDPOINT: storage.endpoint,
    FLYTE_AWS_ACCESS_KEY_ID: storage.accessKeyId,
    FLYTE_AWS_SECRET_ACCESS_KEY: storage.secretAccessKey,
    AWS_REGION: storage.region,
    FLYTE_PLATFORM_URL: options.platformUrl(),
    FLYTE_PLATFORM_INSECURE: options.platformUrl() === undefined ? undefined : 'true',
  };
  for (const [name, value] of Object.entries(flyte)) if (value !== undefined) env[name] = value;
  return env;
}

/** Read by Python, its libraries or flytekit while they are loaded: a warm worker has its own already. */
const readAtImport =
  /^(FLYTE_(?!INTERNAL_|ATTEMPT_|EXECUTION_|K8S_|FAIL_ON|SECRETS_|PLATFORM_)|AWS_|PYTHON(?!PATH$)|LD_|DYLD_|MALLOC_|OMP_|MKL_|OPENBLAS_|NUMEXPR_|NODE_|UV_THREADPOOL)/;

/** A variable of the task that a warm worker would learn of too late; `undefined` if there is none. */
export function neededBeforeStart(env: Readonly<Record<string, string>>, base: Readonly<Record<string, string>>) {
  return Object.keys(env).find((name) => readAtImport.test(name) && env[name] !== base[name]);
}

export interface TaskEnvironment {
  /** What is set besides the base. */
  env: Record<string, string>;
  /** Files with secrets, relative to the attempt's folder. */
  files: { path: string; text: string }[];
}

/** An attempt's own environment (C-107 comes filled in the launch) with its secrets and folders. */
export function taskEnvironment(
  launch: LaunchTask,
  options: LocalProcessOptions,
  attempt: { id: string; folder: string; gpus: readonly string[] },
): TaskEnvironment {
  const env: Record<string, string> = {};
  for (const { key, value } of launch.env) env[key] = value;
  const container = launch.template?.target?.$case === 'container' ? launch.template.target.value : undefined;
  for (const { key, value } of container?.env ?? []) env[key] ??= value;
  const tmp = join(attempt.folder, 'tmp');
  Object.assign(env, { TMPDIR: tmp, TEMP: tmp, TMP: tmp, [attemptVariable]: attemptMark(attempt.id, options.workDir) });
  if (options.capacity.gpuDevices.length > 0) env['CUDA_VISIBLE_DEVICES'] = attempt.gpus.join(',');
  const files = secrets(launch, options, attempt.folder, env);
  return { env, files };
}

function secrets(launch: LaunchTask, options: LocalProcessOptions, folder: string, env: Record<string, string>) {
  const wanted = [...(launch.securityContext?.secrets ?? []), ...(launch.template?.securityContext?.secrets ?? [])];
  const files: TaskEnvironment['files'] = [];
  for (const secret of wanted) {
    const value = options.secret(secret);
    const name = [secret.group, secret.key].filter(Boolean).join('/');
    if (value === undefined)
      throw invalidArgument(
        `secret "${name}" is not known here: set ALOFT_SECRET_${variableName(secret.group, secret.key)} for the platform`,
      );
    if (secret.mountRequirement === Secret_MountType.FILE) {
      const path = join('secrets', secret.group.toLowerCase(), secret.key.toLowerCase());
      if (path.split('/').includes('..')) throw invalidArgument(`secret "${name}": its names must not contain ".."`);
      files.push({ path, text: value });
      env['FLYTE_SECRETS_DEFAULT_DIR'] = join(folder, 'secrets');
      env['FLYTE_SECRETS_FILE_PREFIX'] = '';
      if (secret.envVar) env[secret.envVar] = join(folder, path);
    } else {
      env[`_FSEC_${variableName(secret.group, secret.key)}`] = value;
      if (secret.envVar) env[secret.envVar] = value;
    }
  }
  return files;
}

/** `GROUP_KEY`, as flytekit builds it. */
export const variableName = (group: string, key: string): string =>
  [group, key].filter(Boolean).join('_').toUpperCase();
