import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dice } from '@aloft/backend-kit/testing';

const script = fileURLToPath(new URL('../dist/testing/platform.js', import.meta.url));

describe('the whole platform is killed', () => {
  it('at random moments, launcher and all: every attempt ends, each started once', async () => {
    const seed = Number(process.env['ALOFT_TEST_SEED'] ?? Date.now() % 100_000);
    const next = dice(seed);
    const dir = mkdtempSync(join(tmpdir(), 'aloft-survival-'));
    const count = 60;
    const start = () => {
      const { NODE_OPTIONS: _, ...env } = process.env;
      return spawn(process.execPath, [script, dir, String(count)], { stdio: 'inherit', env });
    };
    const ended = (child: ChildProcess) =>
      new Promise<number | string>((resolve) => child.on('exit', (code, by) => resolve(by ?? code ?? '')));
    for (let kill = 0; kill < 6; kill++) {
      const child = start();
      const over = ended(child);
      await new Promise((resolve) => setTimeout(resolve, 150 + next() * 500));
      // Half of the time its launcher goes with it, half of the time that notices by itself.
      if (next() < 0.5) {
        const file = join(dir, 'work', 'launcher');
        const pid = existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : 0;
        if (pid) killIfThere(pid);
      }
      child.kill('SIGKILL');
      await over;
    }
    expect(await ended(start())).toBe(0);
    const lines = (name: string) => readFileSync(join(dir, name), 'utf8').trim().split('\n');
    const starts = lines('starts').map(Number);
    const ends = lines('ends');
    const failed = ends.filter((line) => !line.endsWith(' SUCCEEDED'));
    expect({ seed, failed }).toEqual({ seed, failed: [] });
    expect(new Set(ends).size).toBe(count);
    expect({ seed, starts: starts.sort((a, b) => a - b) }).toEqual({
      seed,
      starts: Array.from({ length: count }, (_, i) => i),
    });
    // The last launcher leaves with its platform, having removed what was acknowledged.
    expect(readdirSync(join(dir, 'work', 'attempts')).length).toBeLessThanOrEqual(count);
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }, 60_000);
});

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
