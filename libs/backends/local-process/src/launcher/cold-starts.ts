import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { standbyMark, standbyVariable } from './attempt-variable.js';
import type { AttemptFolder } from './attempt-folder.js';
import { type Attempts, openLog } from './attempts.js';
import type { LauncherEvent, LaunchSpec } from './protocol.js';
import { type Standby, StandbyPool } from './standby-pool.js';
import { claimedElsewhere, supervisorScript } from './supervisor.js';
import { shellCommands } from './shell-commands.js';

export const shell = '/bin/sh';
/** Supervising shells that wait for an attempt, each with less than 1 MB of its own. */
const keptShells = 2;

export interface ColdStartsOptions {
  /** What most attempts have in their environment: shells start with it. */
  env: Readonly<Record<string, string>>;
  workDir: string;
  emit: (event: LauncherEvent) => void;
}

/**
 * Starts attempts as new processes, each below a supervising shell in a session of its own. A few of these shells are started before they
 * are needed: starting a process takes Node milliseconds, a shell's own child half of one.
 */
export class ColdStarts {
  private readonly shells: StandbyPool<Standby>;

  constructor(
    private readonly attempts: Attempts,
    private readonly options: ColdStartsOptions,
  ) {
    this.shells = new StandbyPool({
      keep: keptShells,
      start: () => ({ child: this.spawnShell() }),
      onLost: (how) => options.emit({ event: 'log', level: 'warn', message: `a waiting shell ended (${how})` }),
    });
  }

  start(spec: LaunchSpec): void {
    const { id, argv, env } = spec;
    const folder = this.attempts.folder(id);
    const [program = ''] = argv;
    const missing = cannotRun(program, env['PATH'] ?? '', folder.code);
    if (missing !== undefined) {
      this.attempts.failed(id, 'CommandNotFound', missing, true);
      return;
    }
    const log = openLog(spec.log);
    try {
      watch(this.attempts, id, this.startWaiting(spec, folder) ?? this.startNew(spec, folder, log));
    } finally {
      closeSync(log);
    }
  }

  fill(): void {
    this.shells.fill();
  }

  stop(): void {
    this.shells.stop();
  }

  private startWaiting(spec: LaunchSpec, folder: AttemptFolder): ChildProcess | undefined {
    const commands = shellCommands(spec, folder, this.shellEnv);
    const waiting = commands === undefined ? undefined : this.shells.take();
    waiting?.child.stdin?.end(commands);
    return waiting?.child;
  }

  private startNew({ argv, env }: LaunchSpec, folder: AttemptFolder, log: number): ChildProcess {
    return spawn(shell, ['-c', supervisorScript, 'aloft-attempt', folder.path, folder.exit, ...argv], {
      cwd: folder.path,
      env,
      detached: true,
      stdio: ['ignore', log, log],
    });
  }

  private get shellEnv(): Record<string, string> {
    return { ...this.options.env, [standbyVariable]: standbyMark(this.options.workDir) };
  }

  private spawnShell(): ChildProcess {
    const { workDir } = this.options;
    return spawn(shell, ['-s', 'aloft-attempt'], {
      cwd: workDir,
      env: this.shellEnv,
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
  }
}

/** Follows a process that this launcher started itself. */
export function watch(attempts: Attempts, id: string, child: ChildProcess): void {
  child.on('error', (error) =>
    attempts.failed(id, 'StartFailed', `The process could not be started: ${error.message}.`, false),
  );
  if (child.pid === undefined) return;
  child.on('exit', (code, by) => {
    if (code === claimedElsewhere && attempts.get(id)?.folder.readClaim()?.process.pid !== child.pid)
      void attempts.claimedElsewhere(id);
    else attempts.ended(id, { code: code ?? undefined, signal: by ?? undefined });
  });
  attempts.running(id, child.pid);
}

/** What keeps a program from being run, in words; `undefined` if nothing does. */
export function cannotRun(program: string, path: string, cwd: string): string | undefined {
  if (program === '') return 'The task names no command to run.';
  const candidates = program.includes('/')
    ? [isAbsolute(program) ? program : join(cwd, program)]
    : path.split(delimiter).map((folder) => join(folder, program));
  let found: string | undefined;
  for (const candidate of candidates) {
    try {
      if (!statSync(candidate).isFile()) continue;
      found = candidate;
      accessSync(candidate, constants.X_OK);
      return undefined;
    } catch {
      // Not there, or not to be executed: the next one may be.
    }
  }
  if (found !== undefined) return `The command ${found} is not executable.`;
  return program.includes('/')
    ? `The command ${candidates[0]} does not exist on this machine.`
    : `The command "${program}" is not on this machine's path (${path}). Tasks of the backend "local" run without their ` +
        `container image: install what they need here, or run them on a backend that has images.`;
}
