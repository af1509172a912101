import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { clean } from '../round.js';
import { plants } from './plants.js';
import { renderReport } from './report.js';
import { backendShapes, runBackendRound, type BackendShape } from './round.js';

const usage = `node e2e/faults/dist/backends/main.js [options]
  --shape S     ${backendShapes.join(' | ')} (kubernetes)
  --faults N    how many (50)
  --seed N      repeat this one (default: ALOFT_SEED, else a new one, which is printed first)
  --only RE     only faults whose name matches, e.g. '^kill'
  --settle S    seconds in which every run must end after the last fault, and then all of theirs be gone (120)
  --plant BUG   with a bug by hand: ${Object.keys(plants).join(' | ')}
  --keep        keep the work folder though all went well`;

const { values } = parseArgs({
  options: {
    shape: { type: 'string', default: 'kubernetes' },
    faults: { type: 'string', default: '50' },
    seed: { type: 'string', default: process.env['ALOFT_SEED'] ?? String(Math.floor(Math.random() * 0x7fffffff)) },
    only: { type: 'string' },
    settle: { type: 'string', default: '120' },
    plant: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const [seed, faults, settle] = [Number(values.seed), Number(values.faults), Number(values.settle)];
const plant = values.plant === undefined ? undefined : plants[values.plant];
if (
  !backendShapes.includes(values.shape as BackendShape) ||
  ![seed, faults, settle].every((number) => Number.isInteger(number) && number > 0) ||
  (values.plant !== undefined && !plant)
) {
  console.error(usage);
  process.exit(2);
}
const began = Date.now();
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
console.log(`seed ${seed} (repeat with --shape ${values.shape} --faults ${faults} --seed ${seed})`);
const folder = mkdtempSync(join(tmpdir(), `aloft-faults-${values.shape}-`));
const { report, timeline } = await runBackendRound({
  seed,
  faults,
  shape: values.shape as BackendShape,
  folder,
  settleMs: settle * 1_000,
  ...(plant ? { plant } : {}),
  ...(values.only === undefined ? {} : { only: new RegExp(values.only) }),
  signal: interrupted.signal,
  tell: (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(7)} ${text}`),
});
console.log(renderReport(report));
if (timeline) console.log(`seed ${seed}: what happened is in ${timeline}`);
else if (!values.keep) clean(folder);
process.exit(timeline === undefined ? 0 : 1);
