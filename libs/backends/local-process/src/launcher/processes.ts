import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A process for ever: pids are used again, pids with a start time are not. */
export interface ProcessId {
  pid: number;
  /** Clock ticks from boot to its start. */
  start: number;
}

export interface ProcessStat extends ProcessId {
  state: string;
  ppid: number;
  pgrp: number;
  session: number;
  /** User and system time, in clock ticks. */
  ticks: number;
  rssBytes: number;
}

export const clockTicksPerSecond = 100;
const pageBytes = 4096;

let boot: string | undefined;

export function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return boot;
}

/** Parses a line of /proc/<pid>/stat. The name may hold blanks and brackets: count from the last one. */
export function readStat(line: string): ProcessStat | undefined {
  const close = line.lastIndexOf(')');
  if (close < 0) return undefined;
  const fields = line.slice(close + 2).split(' ');
  const of = (index: number) => Number(fields[index]);
  const pid = Number.parseInt(line, 10);
  if (!Number.isFinite(pid) || fields.length < 22) return undefined;
  return {
    pid,
    state: fields[0] ?? '',
    ppid: of(1),
    pgrp: of(2),
    session: of(3),
    ticks: of(11) + of(12),
    start: of(19),
    rssBytes: of(21) * pageBytes,
  };
}

/** Every process of this machine now. */
export const listProcesses = (): ProcessStat[] => [...eachProcess()];

/**
 * The same in turns of the event loop, each of half a millisecond: with hundreds of processes it takes tens of them, and nobody's end should
 * be heard of that much later. `tookMs`: time spent on it. Whatever was started meanwhile may be missing.
 */
export async function listProcessesInTurns(): Promise<{ processes: ProcessStat[]; tookMs: number }> {
  const processes: ProcessStat[] = [];
  let tookMs = 0;
  let began = performance.now();
  for (const process of eachProcess()) {
    processes.push(process);
    const spent = performance.now() - began;
    if (spent < 0.5) continue;
    tookMs += spent;
    await nextTurn();
    began = performance.now();
  }
  return { processes, tookMs: tookMs + performance.now() - began };
}

function* eachProcess(): Generator<ProcessStat> {
  for (const name of readdirSync('/proc')) {
    const first = name.charCodeAt(0);
    if (first < 48 || first > 57) continue;
    const stat = readProcess(name);
    if (stat && stat.state !== 'Z' && stat.state !== 'X') yield stat;
  }
}

export function readProcess(pid: number | string): ProcessStat | undefined {
  try {
    return readStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined; // Gone meanwhile.
  }
}

/** One variable of the environment that a process was started with; `undefined` where that may not be read. */
export function environmentOf(pid: number, name: string): string | undefined {
  try {
    const prefix = `${name}=`;
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .find((entry) => entry.startsWith(prefix))
      ?.slice(prefix.length);
  } catch {
    return undefined;
  }
}

/** Memory of a process with shared pages divided among those who share them; RSS where the kernel does not tell. */
export function proportionalBytes(process: ProcessStat): number {
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${process.pid}/smaps_rollup`, 'utf8'));
    return match ? Number(match[1]) * 1024 : process.rssBytes;
  } catch {
    return process.rssBytes;
  }
}

/** Signals a process or (negative) a group; `false` if there is none. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
