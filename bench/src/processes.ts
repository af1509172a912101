import { readFileSync, readdirSync } from 'node:fs';
import { execFileSync } from 'node:child_process';

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** CPU seconds and resident memory of a process and all its descendants, ours and Postgres' apart. */
export interface Usage {
  oursCpuMs: number;
  postgresCpuMs: number;
  rssMb: number;
}

interface Stat {
  pid: number;
  parent: number;
  name: string;
  cpuMs: number;
  rssMb: number;
}

export function usageOf(rootPids: readonly number[]): Usage {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? []);
  const wanted = new Set(rootPids);
  for (let grown = true; grown;) {
    grown = false;
    for (const stat of all)
      if (!wanted.has(stat.pid) && wanted.has(stat.parent)) {
        wanted.add(stat.pid);
        grown = true;
      }
  }
  const usage = { oursCpuMs: 0, postgresCpuMs: 0, rssMb: 0 };
  for (const stat of all) {
    if (!wanted.has(stat.pid)) continue;
    if (stat.name.startsWith('postgres')) usage.postgresCpuMs += stat.cpuMs;
    else {
      usage.oursCpuMs += stat.cpuMs;
      usage.rssMb += stat.rssMb;
    }
  }
  return usage;
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // utime, stime and, of children waited for, cutime, cstime: fields 14–17 of proc(5).
    const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
    return {
      pid,
      parent: Number(fields[1]),
      name,
      cpuMs: (ticks * 1000) / ticksPerSecond,
      rssMb: (Number(fields[21]) * 4096) / 2 ** 20,
    };
  } catch {
    return undefined; // It ended in between.
  }
}
