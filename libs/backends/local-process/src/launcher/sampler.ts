import { attemptOfMark, attemptVariable } from './attempt-variable.js';
import {
  clockTicksPerSecond,
  environmentOf,
  listProcesses,
  listProcessesInTurns,
  type ProcessStat,
  proportionalBytes,
  signal,
} from './processes.js';

/** What the sampler watches: one attempt, known by its session (the pid of its first process). */
export interface Watched {
  readonly id: string;
  session: number;
  memoryBytes: number | undefined;
  peakMemoryBytes: number;
  memoryByteSeconds: number;
  cpuSeconds: number;
  /** The launcher isn't the parent of its first process, and so is not told of its end. */
  adopted: boolean;
  onOverMemory(usedBytes: number): void;
  onGone(): void;
}

/**
 * Looks at all processes of this machine now and then: sums up what each attempt uses (everything in its session, its
 * descendants, and whatever carries its name in the environment), ends those over their memory limit, notices the end of
 * adopted ones. One pass over /proc serves all attempts; its pace adapts so that it takes at most some percent of one core.
 */
export class Sampler {
  private readonly watched = new Map<string, Watched>();
  /** Ended ones: whatever is still found of them is killed in the next pass. */
  private readonly lingering = new Map<string, Watched>();
  private readonly owners = new Map<string, string | undefined>();
  private timer: NodeJS.Timeout | undefined;
  /** A pass is to come, or under way. */
  private planned = false;
  private lastAt = 0;
  private looking: Promise<Map<string, ProcessStat[]>> | undefined;

  constructor(
    private readonly workDir: string,
    private readonly paceMs: { fastest: number; slowest: number } = { fastest: 60, slowest: 1_000 },
  ) {}

  add(watched: Watched): void {
    this.watched.set(watched.id, watched);
    this.plan(this.paceMs.fastest);
  }

  /** Its first process ended: the next pass ends what it left behind, then it is forgotten. */
  linger(id: string): void {
    const watched = this.watched.get(id);
    if (!watched) return;
    this.watched.delete(id);
    this.lingering.set(id, watched);
    this.plan(this.paceMs.fastest);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.watched.clear();
    this.lingering.clear();
  }

  /** Every attempt's processes, a moment from now: all who ask until then share one pass over /proc. */
  look(): Promise<Map<string, ProcessStat[]>> {
    this.looking ??= new Promise((resolve) =>
      setTimeout(() => {
        this.looking = undefined;
        resolve(this.attribute(listProcesses()));
      }, 3),
    );
    return this.looking;
  }

  private plan(ms: number): void {
    if (this.planned || this.watched.size + this.lingering.size === 0) return;
    this.planned = true;
    this.timer = setTimeout(
      () =>
        void this.pass().then((took) => {
          this.planned = false;
          this.plan(Math.min(this.paceMs.slowest, Math.max(this.paceMs.fastest, took * 25)));
        }),
      ms,
    );
  }

  /** Milliseconds spent. Judges only what was here when it began: of what came later it may not have seen everything. */
  private async pass(): Promise<number> {
    const lingering = [...this.lingering.keys()];
    const all = [...this.watched.values()];
    const { processes, tookMs } = await listProcessesInTurns();
    const began = performance.now();
    const seconds = this.lastAt === 0 ? 0 : Math.min(5, (began - this.lastAt) / 1000);
    this.lastAt = began;
    const byAttempt = this.attribute(processes);
    for (const id of lingering) {
      const left = byAttempt.get(id);
      if (!left) this.lingering.delete(id);
      else for (const { pid } of left) signal(pid, 'SIGKILL');
    }
    for (const watched of all)
      if (this.watched.get(watched.id) === watched) this.judge(watched, byAttempt.get(watched.id) ?? [], seconds);
    return tookMs + performance.now() - began;
  }

  private judge(watched: Watched, processes: readonly ProcessStat[], seconds: number): void {
    if (watched.adopted && !processes.some(({ pid }) => pid === watched.session)) {
      watched.onGone();
      return;
    }
    const used = processes.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
    watched.peakMemoryBytes = Math.max(watched.peakMemoryBytes, used);
    watched.memoryByteSeconds += used * seconds;
    watched.cpuSeconds = Math.max(
      watched.cpuSeconds,
      processes.reduce((sum, { ticks }) => sum + ticks, 0) / clockTicksPerSecond,
    );
    if (watched.memoryBytes === undefined || used <= watched.memoryBytes) return;
    // Pages shared with the warm parent count once for all who share them, not once for each.
    const own = processes.reduce((sum, process) => sum + proportionalBytes(process), 0);
    if (own > watched.memoryBytes) watched.onOverMemory(own);
  }

  private attribute(processes: readonly ProcessStat[]): Map<string, ProcessStat[]> {
    const bySession = new Map(
      [...this.lingering.values(), ...this.watched.values()]
        .filter(({ session }) => session > 0)
        .map((watched) => [watched.session, watched.id]),
    );
    const byPid = new Map(processes.map((process) => [process.pid, process]));
    const known = new Map<string, string | undefined>();
    const ownerOf = (process: ProcessStat, depth: number): string | undefined => {
      const name = `${process.pid}:${process.start}`;
      if (known.has(name)) return known.get(name);
      let owner = bySession.get(process.session);
      if (owner === undefined && this.owners.has(name)) owner = this.owners.get(name);
      if (owner === undefined) {
        const parent = byPid.get(process.ppid);
        if (parent && parent.pid > 1 && depth < 50) owner = ownerOf(parent, depth + 1);
        // Read once a process: who left its session and lost its parents still carries the name.
        if (owner === undefined && !this.owners.has(name))
          owner = attemptOfMark(environmentOf(process.pid, attemptVariable), this.workDir);
      }
      known.set(name, owner);
      return owner;
    };
    const result = new Map<string, ProcessStat[]>();
    for (const process of processes) {
      const owner = ownerOf(process, 0);
      if (owner === undefined) continue;
      const list = result.get(owner);
      if (list) list.push(process);
      else result.set(owner, [process]);
    }
    this.owners.clear();
    for (const [name, owner] of known) this.owners.set(name, owner);
    return result;
  }
}
