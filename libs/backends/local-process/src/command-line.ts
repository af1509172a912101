import type { BlobStore } from '@aloft/blob';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';

/** What a launch's command and arguments come down to on this machine. */
export interface CommandLine {
  start: 'cold' | 'python' | 'node';
  argv: string[];
  /** URI of the code bundle to be unpacked into the working folder. */
  bundleUri?: string;
}

/** Container's command and arguments as registered, placeholders filled. */
export function registeredCommand(launch: LaunchTask): string[] {
  const target = launch.template?.target;
  return target?.$case === 'container' ? [...target.value.command, ...target.value.args] : [];
}

/**
 * Turns the arguments that flytekit, the TypeScript SDK or a user wrote for a container into those of a process here:
 * metadata locations become plain paths, a code bundle is unpacked by us instead of over the machine's own folders.
 */
export function commandLine(launch: LaunchTask, blob: BlobStore): CommandLine {
  const localise = localiser(launch, blob);
  const argv = registeredCommand(launch).map(localise);
  const name = (argv[0] ?? '').replace(/^.*\//, '');
  if (name === 'pyflyte-fast-execute') return fastExecute(argv.slice(1));
  if (name === 'aloft-execute') return aloftExecute(argv.slice(1));
  return { start: isFlytekit(name) ? 'python' : 'cold', argv };
}

const isFlytekit = (name: string) => name === 'pyflyte-execute' || name === 'pyflyte-map-execute';

/**
 * `pyflyte-fast-execute` would start a second interpreter and unpack where the image had its code (`/root`, `.`). Here the
 * bundle goes into the attempt's folder, and the inner command learns of it the way that program would tell it. The
 * destination is `.`: the same for every attempt, so that what a dynamic task generates is, too.
 */
function fastExecute(args: readonly string[]): CommandLine {
  const { values, rest } = takeOptions(args, ['--additional-distribution', '--dest-dir']);
  const bundleUri = values.get('--additional-distribution');
  const argv = rest[0] === '--' ? rest.slice(1) : [...rest];
  const resolver = argv.indexOf('--resolver');
  if (bundleUri !== undefined && resolver >= 0)
    argv.splice(resolver, 0, '--dynamic-addl-distro', bundleUri, '--dynamic-dest-dir', '.');
  const name = (argv[0] ?? '').replace(/^.*\//, '');
  return { start: isFlytekit(name) ? 'python' : 'cold', argv, ...(bundleUri ? { bundleUri } : {}) };
}

/** Tasks of our SDK: `main(argv)` of its executor, which finds the bundle unpacked but must know its URI (dynamic tasks). */
function aloftExecute(args: readonly string[]): CommandLine {
  const bundleUri = takeOptions(args, ['--additional-distribution']).values.get('--additional-distribution');
  return { start: 'node', argv: [...args], ...(bundleUri ? { bundleUri } : {}) };
}

/** Takes `--name value` and `--name=value` out, up to a lone `--`. */
function takeOptions(args: readonly string[], names: readonly string[]) {
  const values = new Map<string, string>();
  const rest: string[] = [];
  let i = 0;
  for (; i < args.length && args[i] !== '--'; i++) {
    const arg = args[i] as string;
    const name = names.find((candidate) => arg === candidate || arg.startsWith(`${candidate}=`));
    if (name === undefined) rest.push(arg);
    else if (arg === name) values.set(name, args[++i] ?? '');
    else values.set(name, arg.slice(name.length + 1));
  }
  return { values, rest: [...rest, ...args.slice(i)] };
}

/** Replaces the node's data folder (inputs.pb, every attempt's outputs) and the attempt's own prefix by plain paths. */
export function localiser(launch: LaunchTask, blob: BlobStore): (text: string) => string {
  const folders = [launch.inputsUri.replace(/\/[^/]*$/, ''), launch.outputPrefix.replace(/\/+$/, '')];
  const replacements = folders.flatMap((uri) => {
    const path = uri === '' ? undefined : blob.localPath(uri);
    return path === undefined ? [] : [{ pattern: new RegExp(`${escape(uri)}(?![\\w.-])`, 'g'), path }];
  });
  return (text) => replacements.reduce((done, { pattern, path }) => done.replace(pattern, () => path), text);
}

const escape = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
