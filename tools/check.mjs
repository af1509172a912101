// npm run check: format, lint (module boundaries, import cycles, the core's bans), types, unit tests. What does not need the other runs beside it; what
// each says is shown when it has ended, and all that failed is named.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { prepare, root, run } from './prepare.mjs';

prepare();
const bin = (name) => join(root, 'node_modules', '.bin', name);
const nx = { NX_DAEMON: 'false', NX_NO_CLOUD: 'true', NX_TUI: 'false' };
const failed = (
  await Promise.all([
    inTurn(
      [bin('prettier'), ['--check', '--log-level=warn', '.'], 'format: run npm run format'],
      [process.execPath, [join(root, 'tools', 'types.mjs')], 'types failed'],
    ),
    inTurn(
      [bin('nx'), ['graph', '--file=.nx/graph.json'], 'nx could not make the project graph', nx],
      [bin('eslint'), ['.', '--cache', '--cache-location', '.cache/eslint', '--max-warnings=0'], 'lint failed', nx],
    ),
  ])
).flat();
for (const problem of failed) console.error(problem);
if (failed.length > 0) process.exit(1);
if (!process.argv.includes('--no-tests'))
  run(
    process.execPath,
    [
      join(root, 'tools', 'test.mjs'),
      '--testPathIgnorePatterns',
      '/node_modules/',
      '/dist/',
      '\\.(db|it)\\.spec\\.ts$',
    ],
    'unit tests failed',
  );

/** Runs every one of them, one after the other. Resolves to what is wrong. */
async function inTurn(...commands) {
  const problems = [];
  for (const [command, args, problem, env] of commands) if (!(await show(command, args, env))) problems.push(problem);
  return problems;
}

/** Shows what a command said when it has ended. Resolves to whether it went well. */
function show(command, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      process.stdout.write(output);
      resolve(code === 0);
    });
  });
}
