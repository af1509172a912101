import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Runs, and is not merely waiting to be reaped (containers without an init keep zombies for ever). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  if (process.platform !== 'linux') return true;
  return readProc(pid, 'stat')?.replace(/^.*\) /s, '')[0] !== 'Z';
}

/** Something that differs between two processes that had the same id one after the other; undefined if it is gone. */
export function startOf(pid: number): string | undefined {
  if (!isAlive(pid)) return undefined;
  if (process.platform === 'linux')
    return readProc(pid, 'stat')
      ?.replace(/^.*\) /s, '')
      .split(' ')[19];
  if (process.platform === 'win32') return 'unknown';
  return spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim() || undefined;
}

/** Is that process the Postgres server of that data folder? (A process id in a file may be anybody's by now.) */
export function isPostmasterOf(pid: number, cluster: string): boolean {
  if (!isAlive(pid)) return false;
  if (process.platform === 'linux') {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(cluster);
    } catch (error) {
      if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
      throw error;
    }
  }
  if (process.platform === 'win32') return true;
  return spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout.includes(cluster);
}

/** Waits until a process that is not our child has ended; false when `ms` were not enough. */
export async function hasEnded(pid: number, ms: number): Promise<boolean> {
  // Nothing announces the end of a process that is not ours.
  for (const until = Date.now() + ms; isAlive(pid); await delay(10)) if (Date.now() > until) return false;
  return true;
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined; // It ended in between.
  }
}
