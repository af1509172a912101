import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Attempts } from './attempts.js';
import { cannotRun } from './cold-starts.js';
import { readJsonLines } from './line-channel.js';
import type { LauncherEvent, LaunchSpec } from './protocol.js';
import { claimedElsewhere } from './supervisor.js';

const script = fileURLToPath(new URL('./zygote.py', import.meta.url));

type ZygoteEvent =
  | { event: 'ready'; flytekit: string }
  | { event: 'unusable'; message: string }
  | { event: 'forked'; id: string; pid: number }
  | { event: 'ended'; id: string; pid: number; code: number | null; signal: string | null };

/** One warm parent of one Python environment. */
class Zygote {
  private readonly waiting: LaunchSpec[] = [];
  /** Asked for, not answered yet. */
  private readonly asked = new Map<string, LaunchSpec>();
  private readonly running = new Set<string>();
  private child: ChildProcess | undefined;
  private state: 'starting' | 'ready' | 'unusable' | 'gone' = 'gone';
  private complaint = '';
  private crashes = 0;

  constructor(
    private readonly python: string,
    private readonly attempts: Attempts,
    private readonly options: PythonWorkersOptions,
  ) {}

  fork(spec: LaunchSpec): void {
    if (this.state === 'unusable') {
      this.refuse(spec);
      // Somebody may have installed flytekit since: the next one looks again.
      this.state = 'gone';
      return;
    }
    this.waiting.push(spec);
    if (this.state === 'ready') this.send();
    else if (this.state === 'gone') this.start();
  }

  warm(): void {
    if (this.state === 'gone') this.start();
  }

  private start(): void {
    const { env, workDir } = this.options;
    const missing = cannotRun(this.python, env['PATH'] ?? '', workDir);
    if (missing !== undefined) {
      this.becomeUnusable(`${missing} Set ALOFT_PYTHON to the Python interpreter of your tasks.`);
      return;
    }
    this.state = 'starting';
    const log = openSync(join(workDir, 'zygote.log'), 'a');
    // flytekit leaves folders behind when it is imported: they go with the launcher.
    const tmp = join(workDir, 'tmp-python');
    mkdirSync(tmp, { recursive: true });
    const child = spawn(this.python, ['-u', script], {
      cwd: workDir,
      env: { ...env, TMPDIR: tmp },
      detached: true,
      stdio: ['pipe', log, log, 'pipe'],
    });
    closeSync(log);
    this.child = child;
    child.stdin?.on('error', () => undefined); // Its end is told by 'exit'.
    readJsonLines<ZygoteEvent>(child.stdio[3] as Readable, (event) => this.handle(event));
    child.on('error', (error) => this.gone(child, error.message));
    child.on('exit', (code, by) => this.gone(child, `exit ${by ?? code}`));
  }

  private handle(event: ZygoteEvent): void {
    switch (event.event) {
      case 'ready':
        this.state = 'ready';
        this.options.emit({
          event: 'log',
          level: 'info',
          message: `${this.python}: flytekit ${event.flytekit} is warm`,
        });
        this.send();
        return;
      case 'unusable':
        this.becomeUnusable(event.message);
        return;
      case 'forked':
        this.crashes = 0;
        this.asked.delete(event.id);
        this.running.add(event.id);
        this.attempts.running(event.id, event.pid);
        return;
      case 'ended':
        this.running.delete(event.id);
        if (event.code === claimedElsewhere && this.attempts.folder(event.id).readClaim()?.process.pid !== event.pid)
          void this.attempts.claimedElsewhere(event.id);
        else
          this.attempts.ended(event.id, {
            ...(event.code === null ? {} : { code: event.code }),
            ...(event.signal === null ? {} : { signal: event.signal }),
          });
    }
  }

  private send(): void {
    for (const spec of this.waiting.splice(0)) {
      if (this.attempts.isCancelled(spec.id)) {
        this.attempts.failed(spec.id, 'Aborted', 'It was aborted before it began.', false);
        continue;
      }
      this.asked.set(spec.id, spec);
      const folder = this.attempts.folder(spec.id);
      const request = { id: spec.id, folder: folder.path, log: spec.log, argv: spec.argv, env: spec.env };
      (this.child?.stdin as Writable).write(`${JSON.stringify(request)}\n`);
    }
  }

  private becomeUnusable(message: string): void {
    this.state = 'unusable';
    this.complaint = message;
    for (const spec of this.waiting.splice(0)) this.refuse(spec);
  }

  private refuse(spec: LaunchSpec): void {
    this.attempts.failed(spec.id, 'PythonNotUsable', this.complaint, true);
  }

  /** The parent died. Its children live on; they are found by their claims, like after the launcher's own death. */
  private gone(child: ChildProcess, how: string): void {
    if (child !== this.child) return;
    this.child = undefined;
    const unexpected = this.state !== 'unusable';
    if (unexpected) this.state = 'gone';
    for (const id of this.running) this.attempts.orphan(id);
    this.running.clear();
    if (!unexpected) return;
    this.options.emit({
      event: 'log',
      level: 'warn',
      message: `the warm ${this.python} ended (${how}); see zygote.log`,
    });
    // Forked or not, nobody can tell but the claim.
    const unclear = [...this.asked.values()];
    this.asked.clear();
    for (const spec of unclear) if (!this.attempts.readopt(spec.id)) this.waiting.push(spec);
    if (this.waiting.length === 0) return;
    if (++this.crashes < 3) this.start();
    else
      for (const spec of this.waiting.splice(0))
        this.attempts.failed(
          spec.id,
          'PythonWorkerFailed',
          `The warm ${this.python} ended again and again (${how}).`,
          false,
        );
  }

  stop(): void {
    this.child?.stdin?.end();
  }

  /** At once: it may have been asked for children that must not begin any more. */
  kill(): void {
    this.child?.kill('SIGKILL');
  }
}

interface PythonWorkersOptions {
  /** Complete environment of the warm parents: storage configuration is read when flytekit is imported. */
  env: Record<string, string>;
  workDir: string;
  emit: (event: LauncherEvent) => void;
}

/** Warm parents, one an interpreter, made when first needed. */
export class PythonWorkers {
  private readonly zygotes = new Map<string, Zygote>();

  constructor(
    private readonly attempts: Attempts,
    private readonly options: PythonWorkersOptions,
  ) {
    rmSync(join(options.workDir, 'tmp-python'), { recursive: true, force: true });
  }

  start(spec: LaunchSpec): void {
    this.of(spec.python ?? 'python3').fork(spec);
  }

  warm(python: string): void {
    this.of(python).warm();
  }

  stop(): void {
    for (const zygote of this.zygotes.values()) zygote.stop();
  }

  kill(): void {
    for (const zygote of this.zygotes.values()) zygote.kill();
  }

  private of(python: string): Zygote {
    let zygote = this.zygotes.get(python);
    if (!zygote) this.zygotes.set(python, (zygote = new Zygote(python, this.attempts, this.options)));
    return zygote;
  }
}
