import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutations } from './mutations.js';

// node apps/propeller/dist/simulation/planted/planted-faults.js [--only N] [--seeds 10000] [--first 1] [--at-once 2]: the simulation on
// each of the planted faults, one at a time, until it is caught. Fails if one is not.
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seeds: { type: 'string', default: '10000' },
    first: { type: 'string', default: '1' },
    'at-once': { type: 'string', default: '2' },
  },
});
const child = fileURLToPath(new URL('./child.js', import.meta.url));

interface Verdict {
  index: number;
  seeds: number;
  seed?: number;
  problem?: string;
}

async function run(index: number): Promise<Verdict> {
  const args = [child, String(index), values.first, values.seeds];
  const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  process_.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(process_, 'close')) as [number];
  if (code !== 0) throw new Error(`planted fault ${index} (${mutations[index]!.name}) could not be run: ${output}`);
  return { index, ...(JSON.parse(output) as Omit<Verdict, 'index'>) };
}

const waiting = values.only !== undefined ? [Number(values.only)] : mutations.map((_, index) => index);
const verdicts: Verdict[] = [];
await Promise.all(
  Array.from({ length: Number(values['at-once']) }, async () => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      const verdict = await run(index);
      verdicts.push(verdict);
      const { file, name } = mutations[index]!;
      const short = file.replace('apps/propeller/dist/', '').replace('libs/engine/dist/', 'engine/').replace('.js', '');
      const caught = verdict.problem === undefined ? 'NOT CAUGHT' : verdict.problem.slice(0, 100).replaceAll('|', '/');
      console.info(`| ${index} | ${short} | ${name} | ${verdict.seeds} | ${caught} |`);
    }
  }),
);
const missed = verdicts.filter(({ problem }) => problem === undefined);
console.info(`${verdicts.length - missed.length} of ${verdicts.length} planted faults were caught`);
process.exit(missed.length > 0 ? 1 : 0);
