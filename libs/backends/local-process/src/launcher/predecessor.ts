import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AttemptFolder, readIfThere } from './attempt-folder.js';
import { standbyMark, standbyVariable } from './attempt-variable.js';
import { environmentOf, listProcesses, type ProcessId, readProcess, readStat, signal } from './processes.js';

/**
 * Ends whatever an earlier launcher of this work folder could still start, and the launcher itself: from now on nothing begins here that this
 * process does not know of. What it started goes on.
 */
export async function replacePredecessor(workDir: string): Promise<void> {
  const file = join(workDir, 'launcher');
  // One that hasn't noticed its platform's death yet.
  const [pid, start] = (readIfThere(file) ?? '').split(' ').map(Number);
  if (pid && start) await end({ pid, start });
  writeFileSync(file, `${process.pid} ${readProcess(process.pid)?.start}`);
  await endWarmParents(join(workDir, 'zygotes'));
  await endStandbys(workDir);
}

/**
 * Warm parents outlive their launcher for a moment, with requests of its unread: they must not fork what the platform
 * is about to look for, and may by then have given to another. Their children go on.
 */
async function endWarmParents(folder: string): Promise<void> {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const signedIn = readStat(readIfThere(join(folder, name)) ?? '');
    if (signedIn) await end(signedIn);
    rmSync(join(folder, name), { force: true });
  }
}

/** Likewise processes that waited for an attempt and may just have been given one: those of attempts that are claimed go on. */
async function endStandbys(workDir: string): Promise<void> {
  const mark = standbyMark(workDir);
  const standbys = listProcesses().filter(({ pid }) => environmentOf(pid, standbyVariable) === mark);
  if (standbys.length === 0) return;
  const claimed = claimedSessions(join(workDir, 'attempts'));
  await Promise.all(standbys.filter(({ session }) => !claimed.has(session)).map(end));
}

/** Every attempt's first process leads its session. */
function claimedSessions(attempts: string): Set<number> {
  const folders = existsSync(attempts) ? readdirSync(attempts) : [];
  const claims = folders.map((id) => new AttemptFolder(join(attempts, id)).readClaim());
  return new Set(claims.flatMap((claim) => (claim?.alive ? [claim.process.pid] : [])));
}

/** Resolves when that process is gone. */
async function end(process: ProcessId): Promise<void> {
  while (isRunning(process)) {
    signal(process.pid, 'SIGKILL');
    await delay(2);
  }
}

function isRunning({ pid, start }: ProcessId): boolean {
  const now = readProcess(pid);
  return now?.start === start && now.state !== 'Z' && now.state !== 'X';
}
