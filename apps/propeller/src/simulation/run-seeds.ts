import { parseArgs } from 'node:util';
import { smaller } from './shrink.js';
import { simulate } from './world.js';

// node apps/propeller/dist/simulation/run-seeds.js [--seed N] [--seeds N | --seconds N] [--trace] [--faults N] [--runs N]: worlds of seeds one after
// the other. `--trace` tells what happens in each; `--faults` and `--runs` leave some of them out.
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: process.env['ALOFT_SEED'] ?? String(Math.floor(Math.random() * 2 ** 31)) },
    seeds: { type: 'string', default: '1' },
    seconds: { type: 'string' },
    trace: { type: 'boolean', default: false },
    faults: { type: 'string' },
    runs: { type: 'string' },
  },
});
// Failing is ordinary here, and stacks are dear: where an error comes from is enough for many worlds.
if (!values.trace) Error.stackTraceLimit = 1;
const first = Number(values.seed);
const end = values.seconds === undefined ? undefined : performance.now() + Number(values.seconds) * 1000;
const most = end === undefined ? Number(values.seeds) : Infinity;
let count = 0;
const kept = {
  ...(values.faults === undefined ? {} : { maxFaults: Number(values.faults) }),
  ...(values.runs === undefined ? {} : { maxRuns: Number(values.runs) }),
};
const trace = values.trace ? (line: string) => console.info(line) : undefined;
let started = process.cpuUsage();
let warm = 0;
let events = 0;
let failed = 0;
for (let seed = first; seed < first + most && (end === undefined || performance.now() < end); seed += 1) {
  count += 1;
  const result = await simulate({ seed, trace, ...kept });
  events += result.events;
  // The first worlds pay for the compiler.
  if (count === 100 && most > 200) [started, warm] = [process.cpuUsage(), 100];
  if (result.problems.length === 0) continue;
  failed += 1;
  const command = values.faults || values.runs ? '' : ` (smaller: ${await smaller(seed)})`;
  console.info(
    `ALOFT_SEED=${seed} node apps/propeller/dist/simulation/run-seeds.js --trace --seed ${seed}${command}\n  ${result.problems.join('\n  ')}`,
  );
}
const { user, system } = process.cpuUsage(started);
const seconds = (user + system) / 1e6;
console.info(
  `${count} worlds from ALOFT_SEED=${first}, ${failed} failed, ${events} events, ${seconds.toFixed(1)} s of CPU, ${((count - warm) / seconds).toFixed(1)} worlds/s`,
);
process.exitCode = failed > 0 ? 1 : 0;
