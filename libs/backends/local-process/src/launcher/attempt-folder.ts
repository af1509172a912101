import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bootId, type ProcessId, readStat } from './processes.js';
import type { ExitRecord, LaunchSpec } from './protocol.js';

/** Why an attempt never began. */
export interface StartFailure {
  code: string;
  message: string;
  /** Whether the task's author can mend it. */
  user: boolean;
}

/** Paths within one attempt's folder `<work>/attempts/<id>`. */
export class AttemptFolder {
  constructor(readonly path: string) {}

  /** What was asked for. */
  get spec(): string {
    return join(this.path, 'spec.json');
  }
  /** Made by the attempt's own process before it does anything, and only by the first one to try: who runs it. */
  get claim(): string {
    return join(this.path, 'claim');
  }
  /** How it ended, written by its supervisor. */
  get exit(): string {
    return join(this.path, 'exit');
  }
  /** Why the launcher ended it, written before the signal. */
  get verdict(): string {
    return join(this.path, 'verdict');
  }
  /** That it could not be started, or was lost before it began: it never will, whoever asks again. */
  get failure(): string {
    return join(this.path, 'failure');
  }
  /** Its working folder. */
  get code(): string {
    return join(this.path, 'code');
  }
  get tmp(): string {
    return join(this.path, 'tmp');
  }

  create(spec: LaunchSpec): void {
    mkdirSync(this.code, { recursive: true });
    mkdirSync(this.tmp, { recursive: true });
    // Without the environment: it may hold secrets, and nobody needs it again.
    writeFileSync(this.spec, JSON.stringify({ ...spec, env: {} }));
  }

  readSpec(): LaunchSpec | undefined {
    const text = readIfThere(this.spec);
    try {
      return text === undefined ? undefined : (JSON.parse(text) as LaunchSpec);
    } catch {
      return undefined; // Cut short by a kill: whatever was to run here never began.
    }
  }

  /** The process that claimed the attempt, and whether it is still that process. */
  readClaim(): { process: ProcessId; since: number; alive: boolean } | undefined {
    const text = readIfThere(this.claim);
    if (!text) return undefined;
    const [boot = '', stat = ''] = text.split('\n');
    const claimed = readStat(stat);
    if (!claimed) return undefined;
    const process = { pid: claimed.pid, start: claimed.start };
    const now = boot === bootId() ? readStat(readIfThere(`/proc/${claimed.pid}/stat`) ?? '') : undefined;
    const alive = now !== undefined && now.start === claimed.start && now.state !== 'Z' && now.state !== 'X';
    return { process, since: statSync(this.claim).mtimeMs, alive };
  }

  /** Of the supervisor's report; `undefined` as long as it is not complete. */
  readExit(): { code?: number; signal?: string; cpuSeconds: number; peakMemoryBytes: number; at: number } | undefined {
    const text = readIfThere(this.exit);
    if (!text?.endsWith('end\n')) return undefined;
    const at = statSync(this.exit).mtimeMs;
    const values = new Map(text.split('\n').map((line) => line.split('=') as [string, string]));
    const cpuSeconds = values.has('cpu') ? Number(values.get('cpu')) : childTimes(text);
    const peakMemoryBytes = Number(values.get('maxrss') ?? 0) * 1024;
    const status = Number(values.get('code') ?? Number.NaN);
    const signal = values.get('signal');
    if (signal) return { signal, cpuSeconds, peakMemoryBytes, at };
    // A shell says 128 + n of a child ended by signal n.
    const name = values.has('cpu') ? undefined : signalNames[status - 128];
    return { ...(name ? { signal: name } : { code: status }), cpuSeconds, peakMemoryBytes, at };
  }

  readVerdict(): ExitRecord['killed'] {
    const text = readIfThere(this.verdict);
    try {
      return text ? (JSON.parse(text) as ExitRecord['killed']) : undefined;
    } catch {
      return undefined;
    }
  }

  writeVerdict(killed: NonNullable<ExitRecord['killed']>): void {
    writeFileSync(this.verdict, JSON.stringify(killed));
  }

  readFailure(): StartFailure | undefined {
    const text = readIfThere(this.failure);
    try {
      return text ? (JSON.parse(text) as StartFailure) : undefined;
    } catch {
      return undefined; // Cut short by a kill, so nobody was told of it.
    }
  }

  writeFailure(failure: StartFailure): void {
    mkdirSync(this.path, { recursive: true });
    writeFileSync(this.failure, JSON.stringify(failure));
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
  }
}

const signalNames: Readonly<Record<number, string>> = {
  9: 'SIGKILL',
  15: 'SIGTERM',
  6: 'SIGABRT',
  11: 'SIGSEGV',
  2: 'SIGINT',
};

/** The second line of a shell's `times`: user and system time of its children, as `0m0.25s 0m0.01s`. */
function childTimes(text: string): number {
  const lines = text.split('\n').filter((line) => /^\d+m[\d.]+s \d+m[\d.]+s$/.test(line));
  return (lines[1] ?? '')
    .split(' ')
    .map((part) => /^(\d+)m([\d.]+)s$/.exec(part))
    .reduce((sum, match) => sum + (match ? Number(match[1]) * 60 + Number(match[2]) : 0), 0);
}

export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // ESRCH: a process that ended while its file in /proc was read.
    if (['ENOENT', 'ESRCH', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
