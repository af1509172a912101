import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, signal } from './proc.js';

export interface ProcessSettings {
  /** `propeller-0`. */
  name: string;
  command: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd?: string;
  /** Both outputs are appended to it. */
  log: string;
  /** Resolves when a process that was just started does its work; gets where in the log its output begins. */
  ready: (running: { pid: number; ended: AbortSignal }) => Promise<void>;
  /** Called at every end that nobody here asked for. */
  onUnexpectedEnd?: (how: string) => void;
}

/** What it stands on may be down for a while, too. */
const startLimitMs = 240_000;

/**
 * A process of the platform under a supervisor, as systemd or a kubelet would be: ended by itself or by a fault, it is
 * started again. Only processes that were started here are signalled.
 */
export class ManagedProcess {
  private child: ChildProcess | undefined;
  private exited: Promise<string> = Promise.resolve('never started');
  private wanted = false;
  /** A fault has its own plan for when it comes back. */
  private held = false;
  private restarting: Promise<void> | undefined;
  starts = 0;

  constructor(readonly settings: ProcessSettings) {}

  get name(): string {
    return this.settings.name;
  }

  get pid(): number | undefined {
    const { child } = this;
    return child && child.exitCode === null && child.signalCode === null ? child.pid : undefined;
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    this.wanted = true;
    this.held = false;
    const until = Date.now() + startLimitMs;
    for (let tries = 0; ; tries++) {
      const ended = new AbortController();
      const out = openSync(this.settings.log, 'a');
      const { command, args, env, cwd } = this.settings;
      const child = spawn(command, [...args], { env, cwd, detached: true, stdio: ['ignore', out, out] });
      closeSync(out);
      this.child = child;
      this.starts++;
      this.exited = new Promise((resolve) => {
        child.once('error', (error) => resolve(error.message));
        child.once('exit', (code, by) => resolve(by ? `ended by ${by}` : `exited with ${code}`));
      });
      let isReady = false;
      void this.exited.then((how) => {
        ended.abort();
        if (isReady && this.wanted && !this.held && this.child === child) this.comeBack(how);
      });
      try {
        await this.settings.ready({ pid: child.pid as number, ended: ended.signal });
        isReady = true;
        if (this.pid === undefined && this.wanted && !this.held) this.comeBack(await this.exited);
        return;
      } catch (error) {
        if (!this.wanted || this.held) return;
        if (this.pid !== undefined) {
          signal(child.pid as number, 'SIGKILL');
          await this.exited;
        }
        // What it stands on may be down, too: a supervisor keeps trying.
        if (Date.now() > until) throw error;
        await delay(Math.min(2000, 100 * 2 ** tries));
      }
    }
  }

  private comeBack(how: string): void {
    this.settings.onUnexpectedEnd?.(how);
    this.restarting = delay(200).then(() => (this.wanted && !this.held ? this.start() : undefined));
    // Whoever waits for it to be up hears of it.
    this.restarting.catch(() => undefined);
  }

  /** Resolves when it runs and is ready, though it may just have ended by itself. */
  async settled(): Promise<void> {
    while (this.restarting) {
      const { restarting } = this;
      await restarting;
      if (this.restarting === restarting) this.restarting = undefined;
    }
  }

  /** SIGKILL; it stays down until {@link start}. */
  async kill(): Promise<void> {
    this.held = true;
    if (this.pid !== undefined) signal(this.pid, 'SIGKILL');
    await this.exited;
  }

  /** SIGTERM, and SIGKILL for whoever takes longer than `patienceMs`; says which it was. Stays down until {@link start}. */
  async terminate(patienceMs: number): Promise<'in good order' | 'had to be killed'> {
    this.held = true;
    if (this.pid === undefined) return 'in good order';
    signal(this.pid, 'SIGTERM');
    const enough = new AbortController();
    const late = delay(patienceMs, false, { signal: enough.signal }).catch(() => false);
    const inTime = await Promise.race([this.exited.then(() => true), late]);
    enough.abort();
    if (!inTime) await this.kill();
    return inTime ? 'in good order' : 'had to be killed';
  }

  pause(): boolean {
    return this.pid !== undefined && signal(this.pid, 'SIGSTOP');
  }

  resume(): void {
    if (this.pid !== undefined) signal(this.pid, 'SIGCONT');
  }

  /** For good. */
  async end(patienceMs = 30_000): Promise<'in good order' | 'had to be killed'> {
    this.wanted = false;
    await this.restarting?.catch(() => undefined);
    this.wanted = false;
    this.resume();
    return this.terminate(patienceMs);
  }

  /** Whether it is there and not stopped by a signal. */
  get alive(): boolean {
    return this.pid !== undefined && isAlive(this.pid);
  }
}
