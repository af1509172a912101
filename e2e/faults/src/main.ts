import { appendFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseOptions, usage, type Options } from './options.js';
import { render } from './report/report.js';
import { clean, runRound } from './round.js';

async function main(options: Options): Promise<boolean> {
  const began = Date.now();
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  console.log(`seed ${options.seed} (${options.shape}; repeat with --shape ${options.shape} --seed ${options.seed})`);
  const folder = options.dir ?? mkdtempSync(join(tmpdir(), `aloft-faults-${options.shape}-`));
  const { report, timeline } = await runRound({
    seed: options.seed,
    faults: options.faults,
    shape: options.shape,
    bus: options.bus,
    overlap: options.overlap,
    concurrency: options.runs,
    pace: options.pace,
    settleMs: options.settle * 1000,
    recoveryMs: options.recovery * 1000,
    limitMs: options.minutes * 60_000,
    only: options.only,
    folder,
    signal: interrupted.signal,
    tell: (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(7)} ${text}`),
  });
  console.log(render(report));
  if (options.json) appendFileSync(options.json, `${JSON.stringify(report)}\n`);
  if (timeline) console.log(`seed ${options.seed}: what happened is in ${timeline}`);
  else if (!options.keep) clean(folder);
  return timeline === undefined;
}

let options: Options;
try {
  options = parseOptions(process.argv.slice(2), process.env);
} catch (error) {
  console.error(`${(error as Error).message}\n\n${usage}`);
  process.exit(2);
}
main(options).then(
  (well) => process.exit(well ? 0 : 1),
  (error: unknown) => {
    console.error(`seed ${options.seed}:`, error);
    process.exit(1);
  },
);
