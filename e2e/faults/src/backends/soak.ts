import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadProgress, saveProgress } from '../progress-file.js';
import { derivedSeed } from '../random.js';
import { clean } from '../round.js';
import { type BackendReport, renderReport, sumOf } from './report.js';
import { backendShapes, runBackendRound, startPart } from './round.js';

/** What a soak of the backends has done so far; the file is complete after each round. */
interface Progress {
  seed: number;
  faults: number;
  perRound: number;
  rounds: (BackendReport & { timeline?: string })[];
}

const folder = process.env['ALOFT_SOAK_DIR'] ?? join(tmpdir(), 'aloft-soak');
const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '1000' },
    seed: { type: 'string', default: process.env['ALOFT_SEED'] ?? '20261127' },
    shape: { type: 'string', default: 'backends' },
    round: { type: 'string', default: '25' },
    fresh: { type: 'boolean', default: false },
  },
});
const begin: Progress = {
  seed: Number(values.seed),
  faults: Number(values.faults),
  perRound: Number(values.round),
  rounds: [],
};
if (![begin.seed, begin.faults, begin.perRound].every((number) => Number.isInteger(number) && number > 0)) {
  console.error('--seed, --faults and --round: must be whole numbers from 1 on');
  process.exit(2);
}
const path = join(folder, `backends-${begin.seed}-${begin.perRound}.json`);
const progress = values.fresh ? begin : { ...loadProgress(path, begin), faults: begin.faults };
const done = () => progress.rounds.reduce((sum, { faults }) => sum + faults, 0);
console.log(`soak of the backends, seed ${progress.seed}: ${done()} of ${progress.faults} faults are done (${path})`);
let stopping = false;
process.once('SIGINT', () => {
  stopping = true;
  console.log('this round is finished, then the soak ends; the same command goes on');
});
while (done() < progress.faults && !stopping) await round(progress.rounds.length);
console.log(`\nAll ${progress.rounds.length} rounds:\n${renderReport(sumOf(progress.rounds, progress.seed))}`);
process.exit(progress.rounds.some(({ violations }) => violations.length > 0) ? 1 : 0);

/** The backends take turns. */
async function round(index: number): Promise<void> {
  const seed = derivedSeed(progress.seed, index);
  const shape = backendShapes[index % backendShapes.length] ?? 'kubernetes';
  const faults = Math.min(progress.perRound, progress.faults - done());
  console.log(`round ${index}: ${faults} faults, --shape ${shape} --seed ${seed}`);
  const work = mkdtempSync(join(tmpdir(), `aloft-soak-${shape}-`));
  const part = await startPart(shape, seed);
  try {
    const { report, timeline } = await runBackendRound({
      seed,
      shape,
      faults,
      part,
      folder: work,
      tell: () => undefined,
    });
    progress.rounds.push({ ...report, ...(timeline ? { timeline } : {}) });
    saveProgress(path, progress);
    console.log(renderReport(report));
    if (timeline) console.log(`what happened is in ${timeline}`);
    else clean(work);
  } finally {
    await part.stop();
  }
}
