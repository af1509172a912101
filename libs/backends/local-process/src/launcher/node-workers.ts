import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Attempts } from './attempts.js';
import { shell, startCold, watch } from './cold-start.js';
import type { LauncherEvent, LaunchSpec } from './protocol.js';
import { supervisorScript } from './supervisor.js';

const script = fileURLToPath(new URL('./node-worker.mjs', import.meta.url));

export interface NodeWorkersOptions {
  /** Program and options of Node. */
  node: string[];
  /** Module with `main(argv)`, as a URL or an absolute path. */
  executor: string;
  /** Processes kept warm. */
  keep: number;
  env: Record<string, string>;
  workDir: string;
  emit: (event: LauncherEvent) => void;
}

interface Warm {
  folder: string;
  log: string;
  child: ChildProcess;
}

/**
 * Warm Node processes for tasks of the TypeScript SDK. One process runs one task: isolation is that of a fresh process
 * (no globals, module caches, handlers or timers of an earlier task; limits, session and kill are the attempt's own), and
 * warming the next one costs the waiting task nothing. A worker lives in a folder of its own that becomes the attempt's by
 * a rename, its log file likewise: descriptors follow.
 */
export class NodeWorkers {
  private readonly warm: Warm[] = [];
  private next = 0;
  private stopped = false;
  private failures = 0;

  constructor(
    private readonly attempts: Attempts,
    private readonly options: NodeWorkersOptions,
  ) {
    rmSync(this.root, { recursive: true, force: true });
  }

  private get root(): string {
    return join(this.options.workDir, 'warm-node');
  }

  /** Runs the attempt in a warm process, or in a new one if none is there. Its folder is prepared. */
  start(spec: LaunchSpec): void {
    const worker = spec.fresh ? undefined : this.warm.shift();
    if (!worker || !this.moveIn(worker, spec)) this.startCold(spec);
    else {
      worker.child.removeAllListeners('exit');
      worker.child.removeAllListeners('error');
      watch(this.attempts, spec.id, worker.child);
      const request = { argv: spec.argv, env: spec.env };
      (worker.child.stdin as Writable).end(`${JSON.stringify(request)}\n`);
    }
    // After this turn, so that the next one's spawn does not delay this one's start.
    setImmediate(() => this.fill());
  }

  fill(): void {
    while (!this.stopped && this.warm.length < this.options.keep && this.failures < 3) this.add();
  }

  stop(): void {
    this.stopped = true;
    for (const { child } of this.warm.splice(0)) child.stdin?.end();
  }

  private startCold(spec: LaunchSpec): void {
    const { node, executor, env } = this.options;
    startCold(this.attempts, {
      ...spec,
      argv: [...node, script, ...spec.argv],
      env: { ...env, ...spec.env, ALOFT_NODE_EXECUTOR: executor },
    });
  }

  /** The worker's folder takes the place of the attempt's prepared one; its output goes on in the attempt's log. */
  private moveIn(worker: Warm, spec: LaunchSpec): boolean {
    const folder = this.attempts.folder(spec.id);
    if (worker.child.exitCode !== null || worker.child.signalCode !== null) return false;
    try {
      mkdirSync(dirname(spec.log), { recursive: true });
      if (!existsSync(spec.log)) linkSync(worker.log, spec.log);
      else return this.discard(worker); // An earlier start of the attempt left output: a cold start appends to it.
      for (const name of readdirSync(folder.path)) renameSync(join(folder.path, name), join(worker.folder, name));
      renameSync(worker.folder, folder.path);
      unlinkSync(join(folder.path, 'output.log'));
      return true;
    } catch (error) {
      // Another file system than the work folder's, or a full disk: the attempt starts cold, and says why if it can't.
      this.options.emit({ event: 'log', level: 'warn', message: `no warm start: ${(error as Error).message}` });
      folder.create(spec);
      return this.discard(worker);
    }
  }

  private discard(worker: Warm): false {
    worker.child.stdin?.end();
    rmSync(worker.folder, { recursive: true, force: true });
    return false;
  }

  private add(): void {
    const { node, executor, env } = this.options;
    const folder = join(this.root, `${process.pid}-${this.next++}`);
    mkdirSync(folder, { recursive: true });
    const log = join(folder, 'output.log');
    const descriptor = openSync(log, 'a');
    const child = spawn(shell, ['-c', supervisorScript, 'aloft-attempt', '-', 'exit', ...node, script], {
      cwd: folder,
      env: { ...env, ALOFT_NODE_EXECUTOR: executor },
      detached: true,
      stdio: ['pipe', descriptor, descriptor],
    });
    closeSync(descriptor);
    child.stdin?.on('error', () => undefined); // Its end is told by 'exit'.
    const worker: Warm = { folder, log, child };
    const gone = (how: string) => {
      const index = this.warm.indexOf(worker);
      if (index < 0 || this.stopped) return;
      this.warm.splice(index, 1);
      this.failures++;
      this.options.emit({ event: 'log', level: 'warn', message: `a warm Node worker ended (${how}); see ${log}` });
    };
    child.on('error', (error) => gone(error.message));
    child.on('exit', (code, by) => gone(`exit ${by ?? code}`));
    this.warm.push(worker);
  }
}
