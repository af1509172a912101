import { spawn } from 'node:child_process';
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
import { standbyMark, standbyVariable } from './attempt-variable.js';
import type { Attempts } from './attempts.js';
import { type ColdStarts, shell, watch } from './cold-starts.js';
import type { LauncherEvent, LaunchSpec } from './protocol.js';
import { type Standby, StandbyPool } from './standby-pool.js';
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

interface Warm extends Standby {
  folder: string;
  log: string;
}

/**
 * Warm Node processes for tasks of the TypeScript SDK. One process runs one task: isolation is that of a fresh process
 * (no globals, module caches, handlers or timers of an earlier task; limits, session and kill are the attempt's own), and
 * warming the next one costs the waiting task nothing. A worker lives in a folder of its own that becomes the attempt's by
 * a rename, its log file likewise: descriptors follow.
 */
export class NodeWorkers {
  private readonly warm: StandbyPool<Warm>;
  private next = 0;

  constructor(
    private readonly attempts: Attempts,
    private readonly cold: ColdStarts,
    private readonly options: NodeWorkersOptions,
  ) {
    rmSync(this.root, { recursive: true, force: true });
    const onLost = (how: string) =>
      options.emit({ event: 'log', level: 'warn', message: `a warm Node worker ended (${how}); see ${this.root}` });
    this.warm = new StandbyPool({ keep: options.keep, start: () => this.add(), onLost });
  }

  private get root(): string {
    return join(this.options.workDir, 'warm-node');
  }

  /** Runs the attempt in a warm process, or in a new one if none is there. Its folder is prepared. */
  start(spec: LaunchSpec): void {
    const worker = spec.fresh ? undefined : this.warm.take();
    if (!worker || !this.moveIn(worker, spec)) this.startCold(spec);
    else {
      watch(this.attempts, spec.id, worker.child);
      const request = { argv: spec.argv, env: spec.env };
      (worker.child.stdin as Writable).end(`${JSON.stringify(request)}\n`);
    }
  }

  fill(): void {
    this.warm.fill();
  }

  stop(): void {
    this.warm.stop();
  }

  private startCold(spec: LaunchSpec): void {
    const { node, executor, env } = this.options;
    this.cold.start({
      ...spec,
      argv: [...node, script, ...spec.argv],
      env: { ...env, ...spec.env, ALOFT_NODE_EXECUTOR: executor },
    });
  }

  /** The worker's folder takes the place of the attempt's prepared one; its output goes on in the attempt's log. */
  private moveIn(worker: Warm, spec: LaunchSpec): boolean {
    const folder = this.attempts.folder(spec.id);
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

  private add(): Warm {
    const { node, executor, env, workDir } = this.options;
    const folder = join(this.root, `${process.pid}-${this.next++}`);
    mkdirSync(folder, { recursive: true });
    const log = join(folder, 'output.log');
    const descriptor = openSync(log, 'a');
    try {
      const child = spawn(shell, ['-c', supervisorScript, 'aloft-attempt', '-', 'exit', ...node, script], {
        cwd: folder,
        env: { ...env, ALOFT_NODE_EXECUTOR: executor, [standbyVariable]: standbyMark(workDir) },
        detached: true,
        stdio: ['pipe', descriptor, descriptor],
      });
      return { folder, log, child };
    } finally {
      closeSync(descriptor);
    }
  }
}
