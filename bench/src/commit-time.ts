import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Median milliseconds of one durable 8 KiB append in `folder`: what a commit can't be faster than on this disk. */
export function commitMs(folder: string, times = 200): number {
  const path = join(folder, '.commit-time');
  const file = openSync(path, 'w');
  const page = Buffer.alloc(8192, 1);
  const samples: number[] = [];
  for (let i = 0; i < times; i++) {
    const started = performance.now();
    writeSync(file, page);
    fdatasyncSync(file);
    samples.push(performance.now() - started);
  }
  closeSync(file);
  rmSync(path);
  return quantile(samples, 0.5);
}

/** By nearest rank: so large a share of the samples is no longer than that. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] as number;
}
