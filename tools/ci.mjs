// Runs CI's steps one after the other, shows their output, counts their tests, goes on after a failure, and ends with
// the line "N passed, N failed". A step that fails without a failed test counts as one.
import { spawn } from 'node:child_process';
import { root } from './prepare.mjs';

/** The suites of the integration that would not be done by then are left out, and said; the rest takes a minute more. */
const minutesForSuites = 55;
process.env.ALOFT_INTEGRATION_UNTIL ??= String(Date.now() + minutesForSuites * 60_000);

const steps = [
  // Its unit tests are among those of the next step.
  { name: 'check', command: ['npm', 'run', 'check', '--silent', '--', '--no-tests'], counts: false },
  { name: 'test', command: ['npm', 'test', '--silent'], counts: true },
  { name: 'integration', command: ['npm', 'run', 'test:integration', '--silent'], counts: true },
  { name: 'bench', command: ['npm', 'run', 'bench', '--silent', '--', '--short'], counts: false },
];

let passed = 0;
let failed = 0;
const summary = [];
const whatFailed = new Set();
const notRun = [];
for (const { name, command, counts } of steps) {
  const started = Date.now();
  console.log(`\n=== ${name}: ${command.join(' ')}`);
  const { code, output } = await show(command);
  const tests = counts ? count(output) : { passed: 0, failed: 0 };
  const stepFailed = code === 0 ? 0 : Math.max(1, tests.failed);
  passed += tests.passed + (counts || code !== 0 ? 0 : 1);
  failed += stepFailed;
  for (const name of failures(output)) whatFailed.add(name);
  notRun.push(...(output.match(/^not run, .+$/gm) ?? []));
  if (counts && code === 0 && tests.passed === 0) {
    console.error(`${name} passed but ran no test`);
    failed++;
  }
  summary.push(
    `${name}: ${code === 0 ? 'ok' : `exit ${code}`}, ${tests.passed} tests passed, ${Math.round((Date.now() - started) / 1000)} s`,
  );
}
if (failed > 0) console.log(`\nWhat failed:\n${[...whatFailed].map((name) => `  ${name}`).join('\n')}`);
console.log(`\n${[...summary, ...notRun].join('\n')}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

function show([command, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const [stream, target] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ])
      stream.on('data', (chunk) => {
        target.write(chunk);
        output += chunk;
      });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code: code ?? `signal ${signal}`, output }));
  });
}

/** What names a failure in the output of Jest ("FAIL file", "● suite › case"), pytest ("FAILED file::case - why") and our suites ("suite name: why"). */
function failures(output) {
  const lines = output.replace(/\x1b\[[0-9;]*m/g, '').split('\n');
  return lines.flatMap(
    (line) =>
      /^(?: {2}(● (?!Console).+)|(FAIL \S+).*|((?:FAILED|ERROR) \S+::.+)|(suite \S+: .+))$/
        .exec(line)
        ?.slice(1)
        .filter(Boolean) ?? [],
  );
}

/** Jest's "Tests: 1 failed, 2 passed, 3 total" and pytest's "== 1 failed, 2 passed in 3s ==" lines, added up. */
function count(output) {
  const lines = output.replace(/\x1b\[[0-9;]*m/g, '').split('\n');
  const totals = { passed: 0, failed: 0 };
  for (const line of lines) {
    if (!/^Tests:\s/.test(line) && !/^=+ .*(passed|failed|error).* in [\d.]+s/.test(line)) continue;
    totals.passed += Number(/(\d+) passed/.exec(line)?.[1] ?? 0);
    totals.failed += Number(/(\d+) failed/.exec(line)?.[1] ?? 0) + Number(/(\d+) errors?/.exec(line)?.[1] ?? 0);
  }
  return totals;
}
