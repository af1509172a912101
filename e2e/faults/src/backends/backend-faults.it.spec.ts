import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { derivedSeed } from '../random.js';

// Seeded faults of backends and their hosts, within CI's time: 50 each. ALOFT_SEED repeats a run. Then bugs by hand: each has to be found.
const seed = Number(process.env['ALOFT_SEED'] ?? Math.floor(Math.random() * 0x7fffffff));
const main = join(import.meta.dirname, '..', '..', 'dist', 'backends', 'main.js');

/** Runs the harness to its end; resolves to its exit code and what it printed, which is CI's, too. */
function faults(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (data) => {
    output += String(data);
    process.stdout.write(data);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}

describe(`faults of backends (ALOFT_SEED=${seed})`, () => {
  beforeAll(() => {
    if (!existsSync(main)) throw new Error(`${main} is missing: npm run build`);
  });

  it.each([
    ['kubernetes', 0],
    ['aws-batch', 1],
  ])(
    'C-172, C-30, C-186: %s: 50 faults, one job an attempt, none left, each end told as it was',
    async (shape, index) => {
      const own = String(derivedSeed(seed, index));
      expect((await faults('--shape', shape, '--faults', '50', '--seed', own)).code).toBe(0);
    },
    20 * 60_000,
  );

  it.each([
    ['aws-batch', 'does not look', 'two jobs'],
    ['kubernetes', 'does not end', 'left behind'],
    ['kubernetes', 'names at random', 'two jobs'],
  ])(
    'a host of %s that %s is found out: %s',
    async (shape, plant, rule) => {
      const args = ['--shape', shape, '--faults', '12', '--seed', '7', '--only', 'kill', '--settle', '10'];
      const { code, output } = await faults(...args, '--plant', plant);
      expect(code).toBe(1);
      expect(output).toContain(`  ${rule}`);
    },
    10 * 60_000,
  );
});
