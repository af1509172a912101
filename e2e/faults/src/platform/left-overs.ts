import { setTimeout as delay } from 'node:timers/promises';
import { allProcesses, concerns, isAlive, type ProcessInfo, readProcess } from '../processes/proc.js';

/** What still runs of a platform that has ended, after a moment's grace: nothing, if all is well. */
export async function leftOvers(folder: string, also: readonly ProcessInfo[], graceMs = 5_000): Promise<string[]> {
  const own = ancestors();
  for (const until = Date.now() + graceMs; ; await delay(50)) {
    const left = [
      ...also.filter(({ pid, start }) => isAlive(pid, start)),
      ...allProcesses().filter((info) => !own.has(info.pid) && info.state !== 'Z' && concerns(info, folder)),
    ];
    if (left.length === 0) return [];
    if (Date.now() > until)
      return left.map(({ pid, command }) => `process ${pid} was left behind: ${command.slice(0, 200)}`);
  }
}

/** This process and those above it, whose arguments may name the folder. */
function ancestors(): Set<number> {
  const own = new Set<number>();
  for (let pid = process.pid; pid > 1 && !own.has(pid); pid = readProcess(pid)?.parent ?? 0) own.add(pid);
  return own;
}
