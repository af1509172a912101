import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** What a soak has done so far, or `begin` where there is nothing yet. */
export function loadProgress<T>(path: string, begin: T): T {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return begin;
    throw error;
  }
}

/** The file is complete at any moment. */
export function saveProgress(path: string, progress: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, JSON.stringify(progress, null, 1));
  renameSync(`${path}.new`, path);
}
