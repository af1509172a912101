import { readFileSync, readdirSync } from 'node:fs';
import { execFileSync } from 'node:child_process';

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** CPU milliseconds of processes with all their descendants, ours and the outside servers' apart; resident memory of ours. */
export interface Usage {
  oursCpuMs: number;
  postgresCpuMs: number;
  kafkaCpuMs: number;
  s3CpuMs: number;
  rssMb: number;
  /** Resident memory of Postgres' processes without what they share. */
  postgresRssMb: number;
  /** Most that our processes that live now ever held. */
  peakRssMb: number;
}

/** Four digits are what a measurement is worth. */
export const round = (value: number): number => Number(value.toPrecision(4));

/** CPU that each of so many steps took, milliseconds. */
export function cpuEach(before: Usage, after: Usage, steps: number): { ours: number; postgres: number } {
  return {
    ours: round((after.oursCpuMs - before.oursCpuMs) / steps),
    postgres: round((after.postgresCpuMs - before.postgresCpuMs) / steps),
  };
}

/** Whose work a tree of processes is. A Postgres that is a child of ours is told by its name. */
export type Owner = 'ours' | 'postgres' | 'kafka' | 's3';

interface Stat {
  pid: number;
  parent: number;
  name: string;
  cpuMs: number;
  rssMb: number;
}

export function usageOf(roots: ReadonlyMap<number, Owner>): Usage {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? []);
  const owners = new Map(roots);
  for (let grown = true; grown;) {
    grown = false;
    for (const { pid, parent } of all) {
      const owner = owners.get(parent);
      if (owner === undefined || owners.has(pid)) continue;
      owners.set(pid, owner);
      grown = true;
    }
  }
  const usage: Usage = {
    oursCpuMs: 0,
    postgresCpuMs: 0,
    kafkaCpuMs: 0,
    s3CpuMs: 0,
    rssMb: 0,
    postgresRssMb: 0,
    peakRssMb: 0,
  };
  for (const { pid, name, cpuMs, rssMb } of all) {
    const owner = name.startsWith('postgres') && owners.has(pid) ? 'postgres' : owners.get(pid);
    if (owner === undefined) continue;
    usage[`${owner}CpuMs`] += cpuMs;
    if (owner === 'ours') {
      usage.rssMb += rssMb;
      usage.peakRssMb += statusMb(pid, 'VmHWM');
    }
    if (owner === 'postgres') usage.postgresRssMb += statusMb(pid, 'RssAnon');
  }
  return usage;
}

/** A line of proc(5)'s status, in MB; 0 where the process has ended in between. */
function statusMb(pid: number, name: string): number {
  try {
    const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
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
