import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { derivedSeed } from './random.js';

// Seeded faults under load, within CI's time: 60 on the embedded shape, 40 on the distributed one, where each takes thrice as long. ALOFT_SEED repeats a run.
const seed = Number(process.env['ALOFT_SEED'] ?? Math.floor(Math.random() * 0x7fffffff));
const main = join(import.meta.dirname, '..', 'dist', 'main.js');

/** Runs the harness to its end; its output is CI's. */
function faults(...args: string[]): Promise<number | null> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
}

describe(`faults (ALOFT_SEED=${seed})`, () => {
  beforeAll(() => {
    if (!existsSync(main)) throw new Error(`${main} is missing: npm run build`);
  });

  it.each([
    ['embedded', 60, 0],
    ['distributed', 40, 1],
  ])(
    'S-22: the %s shape: %i faults, nothing stuck, nothing wrong, nothing twice',
    async (shape, count, index) => {
      const own = String(derivedSeed(seed, index));
      expect(await faults('--shape', shape, '--faults', String(count), '--seed', own, '--minutes', '10')).toBe(0);
    },
    15 * 60_000,
  );
});
