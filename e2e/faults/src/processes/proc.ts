import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** One process as /proc shows it. */
export interface ProcessInfo {
  pid: number;
  parent: number;
  session: number;
  /** `R`, `S`, `T` (stopped), `Z` (ended, not yet reaped) … */
  state: string;
  /** Clock ticks since boot; with the pid it names a process for good. */
  start: string;
  command: string;
}

export function readProcess(pid: number): ProcessInfo | undefined {
  const stat = read(pid, 'stat');
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const command = (read(pid, 'cmdline') ?? '').replace(/\0/g, ' ').trim();
  return {
    pid,
    state: fields[0] ?? '?',
    parent: Number(fields[1]),
    session: Number(fields[3]),
    start: fields[19] ?? '',
    command,
  };
}

export function allProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
}

/** Of a process and all below it, itself first. */
export function descendants(pid: number, among: readonly ProcessInfo[] = allProcesses()): ProcessInfo[] {
  const found = among.filter((each) => each.pid === pid);
  for (let i = 0; i < found.length; i++) found.push(...among.filter((each) => each.parent === found[i]!.pid));
  return found;
}

/** Runs, and is not merely waiting to be reaped. */
export function isAlive(pid: number, start?: string): boolean {
  const info = readProcess(pid);
  return (
    info !== undefined && info.state !== 'Z' && info.state !== 'X' && (start === undefined || info.start === start)
  );
}

/** Signals a process that is ours; false when it is gone. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Whether a process has to do with a folder: by its arguments, its working folder or its environment. */
export function concerns(info: ProcessInfo, folder: string): boolean {
  if (info.command.includes(folder)) return true;
  if (link(info.pid, 'cwd')?.startsWith(folder)) return true;
  return (read(info.pid, 'environ') ?? '').includes(folder);
}

function read(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined; // It ended in between, or is somebody else's.
  }
}

function link(pid: number, file: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/${file}`);
  } catch {
    return undefined; // As above.
  }
}
