import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Shape } from './platform/platform.js';
import { loadProgress, saveProgress } from './progress-file.js';
import { derivedSeed } from './random.js';
import { recoveryRows } from './report/recovery-times.js';
import { render, type RoundReport } from './report/report.js';
import { clean, defaults, runRound } from './round.js';

/** What a soak has done so far; the file is complete after each round. */
interface Progress {
  seed: number;
  shape: Shape | 'both';
  faults: number;
  perRound: number;
  rounds: (RoundReport & { timeline?: string })[];
}

const folder = process.env['ALOFT_SOAK_DIR'] ?? join(tmpdir(), 'aloft-soak');
const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '1000' },
    seed: { type: 'string', default: process.env['ALOFT_SEED'] ?? '20261123' },
    shape: { type: 'string', default: 'both' },
    round: { type: 'string', default: '50' },
    fresh: { type: 'boolean', default: false },
  },
});
const wanted: Progress = {
  seed: Number(values.seed),
  shape: values.shape as Progress['shape'],
  faults: Number(values.faults),
  perRound: Number(values.round),
  rounds: [],
};
if (![wanted.seed, wanted.faults, wanted.perRound].every((number) => Number.isInteger(number) && number > 0)) {
  console.error('--seed, --faults and --round: must be whole numbers from 1 on');
  process.exit(2);
}
if (!['embedded', 'distributed', 'both'].includes(wanted.shape)) {
  console.error(`--shape ${wanted.shape}: must be embedded, distributed or both (or backends: tools/soak.mjs)`);
  process.exit(2);
}
const path = join(folder, `${wanted.shape}-${wanted.seed}-${wanted.perRound}.json`);
const progress = values.fresh ? wanted : { ...loadProgress(path, wanted), faults: wanted.faults };
const done = () => progress.rounds.reduce((sum, { faults }) => sum + faults, 0);
console.log(`soak, seed ${progress.seed}: ${done()} of ${progress.faults} faults are done (${path})`);
let stopping = false;
process.once('SIGINT', () => {
  stopping = true;
  console.log('this round is finished, then the soak ends; the same command goes on');
});
while (done() < progress.faults && !stopping) await round(progress.rounds.length);
console.log(summary());
process.exit(progress.rounds.some(({ violations }) => violations.length > 0) ? 1 : 0);

async function round(index: number): Promise<void> {
  const seed = derivedSeed(progress.seed, index);
  // Of both shapes the distributed one has more parts that can fail: two rounds of it to one of the other.
  const shape = progress.shape === 'both' ? (index % 3 === 0 ? 'embedded' : 'distributed') : progress.shape;
  const faults = Math.min(progress.perRound, progress.faults - done());
  console.log(`round ${index}: ${faults} faults, --shape ${shape} --seed ${seed}`);
  const work = mkdtempSync(join(tmpdir(), `aloft-soak-${shape}-`));
  const { report, timeline } = await runRound({
    ...defaults,
    seed,
    shape,
    faults,
    folder: work,
    tell: () => undefined,
  });
  progress.rounds.push({ ...report, ...(timeline ? { timeline } : {}) });
  saveProgress(path, progress);
  console.log(render(report));
  if (timeline) console.log(`what happened is in ${timeline}`);
  else clean(work);
}

function summary(): string {
  const { rounds } = progress;
  const sum = (of: (round: RoundReport) => number) => rounds.reduce((total, round) => total + of(round), 0);
  const all: RoundReport = {
    seed: progress.seed,
    shape: progress.shape,
    faults: done(),
    runs: sum(({ runs }) => runs),
    steps: sum(({ steps }) => steps),
    starts: sum(({ starts }) => starts),
    extraStarts: sum(({ extraStarts }) => extraStarts),
    seconds: sum(({ seconds }) => seconds),
    baselineMs: sum(({ baselineMs }) => baselineMs) / Math.max(1, rounds.length),
    violations: rounds.flatMap(({ violations, seed, shape }) =>
      violations.map((violation) => ({ ...violation, text: `${violation.text} (--shape ${shape} --seed ${seed})` })),
    ),
    recovery: recoveryRows(rounds.flatMap(({ times }) => times)),
    times: [],
  };
  return `\nAll ${rounds.length} rounds:\n${render(all)}`;
}
