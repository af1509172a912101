import { existsSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AttemptFolder } from './attempt-folder.js';
import { signal } from './processes.js';
import type { ExitRecord, LauncherEvent, LaunchSpec } from './protocol.js';
import { Sampler, type Watched } from './sampler.js';

interface Tracked extends Watched {
  readonly folder: AttemptFolder;
  readonly spec: LaunchSpec;
  startedAt: number;
  state: 'starting' | 'running' | 'ended';
  timeout?: NodeJS.Timeout;
  killTimer?: NodeJS.Timeout;
  exit?: ExitRecord;
  /** Its end was asked for. */
  ending: boolean;
  whenEnded: (() => void)[];
}

/** Milliseconds between the polite signal and the one that nobody survives. */
const defaultGraceMs = 5_000;
/** How often, and every so many milliseconds, a claim is looked at that is being written. */
const claimLooks = 400;
const claimLookMs = 5;

/**
 * The attempts that this launcher looks after, wherever they were started: their limits, their end, their folders.
 */
export class Attempts {
  private readonly tracked = new Map<string, Tracked>();
  readonly sampler: Sampler;

  constructor(
    readonly root: string,
    private readonly emit: (event: LauncherEvent) => void,
    private readonly graceMs = defaultGraceMs,
  ) {
    mkdirSync(root, { recursive: true });
    this.sampler = new Sampler(dirname(root));
  }

  folder(id: string): AttemptFolder {
    return new AttemptFolder(join(this.root, id));
  }

  /**
   * Prepares to start an attempt. `undefined` if that is not needed: it runs already, has ended, or is being started; what
   * there is to say about it is said.
   */
  begin(spec: LaunchSpec): Tracked | undefined {
    const known = this.tracked.get(spec.id);
    if (known) {
      if (known.state !== 'starting') this.announce(known);
      return undefined;
    }
    const folder = this.folder(spec.id);
    if (folder.readClaim() || folder.readFailure()) {
      this.adopt(spec.id);
      return undefined;
    }
    return this.track(spec, folder);
  }

  /** Its first process runs: limits count from now on. */
  running(id: string, pid: number, adopted = false, startedAt = Date.now()): void {
    const tracked = this.tracked.get(id);
    if (!tracked || tracked.state !== 'starting') return;
    tracked.state = 'running';
    tracked.session = pid;
    tracked.adopted = adopted;
    tracked.startedAt = startedAt;
    this.sampler.add(tracked);
    const { timeoutMs } = tracked.spec;
    if (timeoutMs !== undefined)
      tracked.timeout = setTimeout(
        () => void this.end(tracked, 'time', `it ran longer than its limit of ${timeoutMs / 1000} s`),
        // Node's timers hold 2^31 ms; a longer limit is the engine's own to enforce.
        Math.min(2 ** 31 - 1, Math.max(0, startedAt + timeoutMs - Date.now())),
      );
    this.emit({ event: 'started', id, pid, startedAt });
    // Asked to end while it was being started.
    if (tracked.ending) this.signalUntilGone(tracked, 'abort');
  }

  /** Whether its end was asked for before it began: then it must not begin. */
  isCancelled(id: string): boolean {
    return this.tracked.get(id)?.ending ?? true;
  }

  /** It never came to run. That is written down before it is told: who asks later must not start it after all. */
  failed(id: string, code: string, message: string, user: boolean): void {
    const tracked = this.tracked.get(id);
    if (!tracked || tracked.state === 'ended') return;
    tracked.folder.writeFailure({ code, message, user });
    tracked.state = 'ended';
    this.tracked.delete(id);
    this.wake(tracked);
    this.emit({ event: 'failed', id, code, message, user });
  }

  /** Its first process ended: whatever else of it still runs ends too, as everything in a container would. */
  ended(id: string, seen: { code?: number | undefined; signal?: string | undefined }): void {
    const tracked = this.tracked.get(id);
    if (!tracked || tracked.state === 'ended') return;
    if (tracked.session > 0) signal(-tracked.session, 'SIGKILL');
    const written = tracked.folder.readExit();
    tracked.state = 'ended';
    clearTimeout(tracked.timeout);
    clearTimeout(tracked.killTimer);
    const killed = tracked.folder.readVerdict();
    tracked.exit = {
      ...(written ? pick(written) : pick(seen)),
      ...(killed ? { killed } : {}),
      startedAt: tracked.startedAt,
      endedAt: written?.at ?? Date.now(),
      cpuSeconds: Math.max(written?.cpuSeconds ?? 0, tracked.cpuSeconds),
      peakMemoryBytes: Math.max(written?.peakMemoryBytes ?? 0, tracked.peakMemoryBytes),
      memoryByteSeconds: tracked.memoryByteSeconds,
    };
    const tell = () => {
      this.sampler.linger(id);
      this.wake(tracked);
      this.announce(tracked);
    };
    // Whoever asked for the end is told once everything is gone, those who left the session, too.
    if (killed && tracked.session > 0) void this.untilGone(tracked).then(tell);
    else tell();
  }

  /** Finds an attempt by its folder: running, ended, or (`false`) never begun. */
  adopt(id: string): boolean {
    const known = this.tracked.get(id);
    if (known) {
      if (known.state !== 'starting') this.announce(known);
      return true;
    }
    const folder = this.folder(id);
    // Ended because its host's time was over: no outcome. It begins anew.
    if (folder.readVerdict()?.by === 'lease') return false;
    const failure = folder.readFailure();
    if (failure) {
      this.emit({ event: 'failed', id, ...failure });
      return true;
    }
    const claim = folder.readClaim();
    const spec = folder.readSpec();
    if (!claim || !spec) return false;
    const tracked = this.track(spec, folder);
    tracked.startedAt = claim.since;
    tracked.session = claim.process.pid;
    if (claim.alive) this.running(id, claim.process.pid, true, claim.since);
    else {
      // Its session's number may be another's by now: what it left behind is known by its name.
      tracked.session = 0;
      this.sampler.add(tracked);
      this.ended(id, {});
    }
    return true;
  }

  /** The parent of its first process died: from now on its end is noticed by looking. */
  orphan(id: string): void {
    const tracked = this.tracked.get(id);
    if (tracked?.state === 'running') tracked.adopted = true;
  }

  /** It was being started by a process that died: whether it runs is written in its claim. */
  readopt(id: string): boolean {
    const tracked = this.tracked.get(id);
    if (!tracked || tracked.state !== 'starting') return true;
    const claim = tracked.folder.readClaim();
    if (!claim) return false;
    this.running(id, claim.process.pid, true, claim.since);
    return true;
  }

  /** Another process had claimed it before the one that was just started. */
  async claimedElsewhere(id: string): Promise<void> {
    const tracked = this.tracked.get(id);
    if (!tracked) return;
    // The other makes its claim and writes it in two steps.
    for (let look = 0; look < claimLooks && !tracked.folder.readClaim(); look++) {
      if (!existsSync(tracked.folder.claim)) break;
      await delay(claimLookMs);
    }
    this.tracked.delete(id);
    if (this.adopt(id)) return;
    this.tracked.set(id, tracked);
    this.failed(id, 'Interrupted', 'The attempt was claimed by a process that left no trace.', false);
  }

  async kill(id: string, why: string): Promise<void> {
    if (!this.tracked.has(id)) this.adopt(id);
    const tracked = this.tracked.get(id);
    if (tracked) await this.end(tracked, 'abort', why);
    this.emit({ event: 'killed', id });
  }

  async forget(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const tracked = this.tracked.get(id);
      if (tracked && tracked.state !== 'ended') continue;
      this.tracked.delete(id);
      await this.folder(id).remove();
    }
  }

  /** Those of these that were begun some day: looked up once, instead of one by one in folders that most have never had. */
  begunOf(ids: readonly string[]): string[] {
    const folders = new Set(readdirSync(this.root));
    return ids.filter((id) => folders.has(id) || this.tracked.has(id));
  }

  /** Everything there is but these. */
  others(keep: ReadonlySet<string>): string[] {
    return readdirSync(this.root).filter((id) => !keep.has(id));
  }

  /** Ends and removes these, but what was asked for meanwhile. */
  async clear(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      if (this.tracked.has(id)) continue;
      if (this.folder(id).readClaim()?.alive) await this.kill(id, 'nobody knows of it');
      await this.forget([id]);
    }
  }

  /** Whether anything runs, or is about to. */
  get areRunning(): boolean {
    return [...this.tracked.values()].some(({ state }) => state !== 'ended');
  }

  /** The host's time is over: everything of every attempt ends, at once and for sure. Resolves when nothing is left. */
  async endAll(detail: string): Promise<void> {
    const all = [...this.tracked.values()].filter(({ state }) => state !== 'ended');
    for (const { session } of all) if (session > 0) signal(-session, 'SIGKILL');
    for (const tracked of all) {
      tracked.ending = true;
      if (!tracked.folder.readVerdict() && existsSync(tracked.folder.path))
        tracked.folder.writeVerdict({ by: 'lease', detail });
    }
    for (;;) {
      const left = await this.sampler.look();
      const pids = all.flatMap(({ id }) => left.get(id) ?? []).map(({ pid }) => pid);
      if (pids.length === 0) return;
      for (const pid of pids) signal(pid, 'SIGKILL');
    }
  }

  /** What is left of an attempt that begins anew: dead for sure, then gone. */
  async discard(id: string): Promise<void> {
    for (;;) {
      const left = (await this.sampler.look()).get(id) ?? [];
      const { process, alive } = this.folder(id).readClaim() ?? { alive: false };
      if (left.length === 0 && !alive) break;
      if (alive && process) signal(-process.pid, 'SIGKILL');
      for (const { pid } of left) signal(pid, 'SIGKILL');
    }
    this.tracked.delete(id);
    await this.folder(id).remove();
  }

  get(id: string): Tracked | undefined {
    return this.tracked.get(id);
  }

  private track(spec: LaunchSpec, folder: AttemptFolder): Tracked {
    const tracked: Tracked = {
      id: spec.id,
      spec,
      folder,
      session: 0,
      memoryBytes: spec.memoryBytes,
      peakMemoryBytes: 0,
      memoryByteSeconds: 0,
      cpuSeconds: 0,
      adopted: false,
      startedAt: Date.now(),
      state: 'starting',
      ending: false,
      whenEnded: [],
      onOverMemory: (used) => {
        const limit = `${Math.ceil((spec.memoryBytes ?? 0) / 2 ** 20)} MiB`;
        void this.end(tracked, 'memory', `it used ${Math.ceil(used / 2 ** 20)} MiB, its limit is ${limit}`);
      },
      onGone: () => this.ended(spec.id, {}),
    };
    this.tracked.set(spec.id, tracked);
    return tracked;
  }

  private announce(tracked: Tracked): void {
    const { id } = tracked;
    if (tracked.exit) this.emit({ event: 'ended', id, exit: tracked.exit });
    else this.emit({ event: 'started', id, pid: tracked.session, startedAt: tracked.startedAt });
  }

  /** Ends everything of an attempt: politely, then surely; for memory surely at once. Resolves when nothing of it runs. */
  private async end(tracked: Tracked, by: 'abort' | 'time' | 'memory', detail: string): Promise<void> {
    if (tracked.state === 'ended') return;
    if (!tracked.folder.readVerdict() && existsSync(tracked.folder.path)) tracked.folder.writeVerdict({ by, detail });
    const over = new Promise<void>((resolve) => tracked.whenEnded.push(resolve));
    tracked.ending = true;
    if (tracked.state === 'running') this.signalUntilGone(tracked, by);
    await over;
  }

  private signalUntilGone(tracked: Tracked, by: 'abort' | 'time' | 'memory'): void {
    if (tracked.killTimer) return;
    const surely = () => {
      this.signalAll(tracked, 'SIGKILL');
      // Whatever is being started in this moment is met again.
      tracked.killTimer = setTimeout(surely, 100);
    };
    if (by === 'memory') {
      surely();
      return;
    }
    this.signalAll(tracked, 'SIGTERM');
    tracked.killTimer = setTimeout(surely, this.graceMs);
  }

  private signalAll(tracked: Tracked, name: NodeJS.Signals): void {
    if (tracked.session > 0) signal(-tracked.session, name);
    void this.signalOthers(tracked, name);
  }

  /** Those of the attempt that left its session. */
  private async signalOthers(tracked: Tracked, name: NodeJS.Signals): Promise<void> {
    const processes = (await this.sampler.look()).get(tracked.id) ?? [];
    for (const { pid, session } of processes) if (session !== tracked.session) signal(pid, name);
  }

  /** A process that was killed dies when it gets its turn: on a busy machine not at once. */
  private async untilGone({ id }: Tracked): Promise<void> {
    for (let pause = 1; ; pause = Math.min(2 * pause, 50)) {
      const left = (await this.sampler.look()).get(id) ?? [];
      if (left.length === 0) return;
      for (const { pid } of left) signal(pid, 'SIGKILL');
      await delay(pause);
    }
  }

  private wake(tracked: Tracked): void {
    for (const resolve of tracked.whenEnded.splice(0)) resolve();
  }
}

function pick({ code, signal: by }: { code?: number | undefined; signal?: string | undefined }) {
  return { ...(code === undefined ? {} : { code }), ...(by === undefined ? {} : { signal: by }) };
}

/** Opens the file of an attempt's output, its folder made. */
export function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  return openSync(path, 'a');
}
