import type { AttemptFolder } from './attempt-folder.js';
import type { LaunchSpec } from './protocol.js';
import { supervisorScript } from './supervisor.js';

/** Variables that change how a shell itself reads or runs what follows, or that it refuses to set. */
const shellsOwn = /^(IFS|OPTIND|PPID|UID|EUID|SHELLOPTS|BASH\w*)$/;

/**
 * What a waiting shell is told, to become the supervisor of an attempt as a new one would be. One compound command: cut short, nothing of it runs.
 * `undefined` for what cannot be said to a shell so that all of it arrives as it is.
 *
 * @param given the environment that the shell has
 */
export function shellCommands(
  { argv, env, log }: LaunchSpec,
  folder: AttemptFolder,
  given: Readonly<Record<string, string>>,
): string | undefined {
  const changed = Object.entries(env).filter(([name, value]) => given[name] !== value);
  const surplus = Object.keys(given).filter((name) => env[name] === undefined);
  const names = [...changed.map(([name]) => name), ...surplus];
  if (names.some((name) => !/^[A-Za-z_]\w*$/.test(name) || shellsOwn.test(name))) return undefined;
  const commands = [
    ...surplus.map((name) => `unset ${name}`),
    ...changed.map(([name, value]) => `export ${name}=${quoted(value)}`),
    `exec < /dev/null >> ${quoted(log)} 2>&1`,
    `cd ${quoted(folder.path)} || exit 98`,
    `set -- ${[folder.path, folder.exit, ...argv].map(quoted).join(' ')}`,
    supervisorScript,
  ].join('\n');
  return commands.includes('\0') ? undefined : `{\n${commands}\n}\n`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
