// Makes a checkout ready to run: installs what the lock file names if that has not been done, builds what is out of date.
// Imports nothing but Node, since it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules', '.aloft-installed');

export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(`Aloft needs Node 20.19 or newer; this is ${process.version}. Install a current Node and try again.`);
  process.exit(1);
}

/** Installs if node_modules is missing or was made from another lock file. */
export function install() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.log('Installing packages (once) …');
  // Not `ci`: it refuses a lock file that lacks the packages of platforms other than this one, and empties node_modules
  // first. `--no-save` keeps to the lock file and leaves it as it is.
  const arguments_ = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  run('npm', arguments_, 'npm install failed: its output says why');
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
}

export function build() {
  run(process.execPath, [join(root, 'tools', 'build.mjs'), '--quiet'], 'the build failed: its output above says why');
}

export function prepare() {
  checkNode();
  install();
  build();
}

/** Runs a command in the repository's root with its output shown; ends the process if it fails. */
export function run(command, args, onFailure, env = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  if (status === 0) return;
  console.error(onFailure ?? `${command} ${args.join(' ')} failed`, error ?? '');
  process.exit(status ?? 1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) prepare();
