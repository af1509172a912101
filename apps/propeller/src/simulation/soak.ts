import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { smaller } from './shrink.js';
import { simulate } from './world.js';

/** What a soak has done so far; the file is complete after each step. */
interface Progress {
  first: number;
  /** Worlds that are done, from `first` on. */
  done: number;
  events: number;
  cpuSeconds: number;
  /** Seeds of worlds in which something was wrong, and what. */
  failures: { seed: number; problem: string }[];
}

// Failing is ordinary here, and stacks are dear: where an error comes from is enough until somebody looks at its seed.
Error.stackTraceLimit = 1;
const step = 100;
const folder = process.env['ALOFT_SOAK_DIR'] ?? join(tmpdir(), 'aloft-soak');
const { values } = parseArgs({
  options: {
    simulation: { type: 'boolean' },
    seeds: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: process.env['ALOFT_SEED'] ?? '1' },
    fresh: { type: 'boolean', default: false },
  },
});
const [first, wanted] = [Number(values.seed), Number(values.seeds)];
if (![first, wanted].every((number) => Number.isInteger(number) && number > 0)) {
  console.error('--seed and --seeds: must be whole numbers from 1 on');
  process.exit(2);
}
const path = join(folder, `simulation-${first}.json`);
const begun: Progress = { first, done: 0, events: 0, cpuSeconds: 0, failures: [] };
const progress = values.fresh ? begun : load();
console.info(`simulation, from seed ${first}: ${progress.done} of ${wanted} worlds are done (${path})`);
let stopping = false;
process.once('SIGINT', () => {
  stopping = true;
  console.info('this step is finished, then the soak ends; the same command goes on');
});
while (progress.done < wanted && !stopping) await advance(Math.min(step, wanted - progress.done));
const { done, events, cpuSeconds, failures } = progress;
console.info(
  `${done} worlds, ${events} events, ${cpuSeconds.toFixed(0)} s of CPU (${(done / cpuSeconds).toFixed(1)} worlds a second of one core), ` +
    `${failures.length} failed`,
);
for (const { seed, problem } of failures) console.info(`ALOFT_SEED=${seed}  ${problem}`);
process.exit(failures.length > 0 ? 1 : 0);

async function advance(count: number): Promise<void> {
  const started = process.cpuUsage();
  const from = progress.first + progress.done;
  for (let seed = from; seed < from + count; seed += 1) {
    const result = await simulate({ seed });
    progress.events += result.events;
    if (result.problems.length === 0) continue;
    const problem = `${result.problems[0]!} (${await smaller(seed)})`;
    progress.failures.push({ seed, problem });
    console.info(`ALOFT_SEED=${seed}  ${problem}`);
  }
  const { user, system } = process.cpuUsage(started);
  progress.cpuSeconds += (user + system) / 1e6;
  progress.done += count;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${path}.new`, JSON.stringify(progress, null, 1));
  renameSync(`${path}.new`, path);
  if (progress.done % (step * 100) === 0) console.info(`${progress.done} worlds, ${progress.failures.length} failed`);
}

function load(): Progress {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Progress;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return begun;
    throw error;
  }
}
