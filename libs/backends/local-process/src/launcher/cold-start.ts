import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { type Attempts, openLog } from './attempts.js';
import type { LaunchSpec } from './protocol.js';
import { claimedElsewhere, supervisorScript } from './supervisor.js';

export const shell = '/bin/sh';

/** Starts an attempt as a new process below a supervising shell, in a session of its own. */
export function startCold(attempts: Attempts, spec: LaunchSpec): void {
  const { id, argv, env } = spec;
  const folder = attempts.folder(id);
  const [program = ''] = argv;
  const missing = cannotRun(program, env['PATH'] ?? '', folder.code);
  if (missing !== undefined) {
    attempts.failed(id, 'CommandNotFound', missing, true);
    return;
  }
  const log = openLog(spec.log);
  let child: ChildProcess;
  try {
    child = spawn(shell, ['-c', supervisorScript, 'aloft-attempt', folder.path, folder.exit, ...argv], {
      cwd: folder.path,
      env,
      detached: true,
      stdio: ['ignore', log, log],
    });
  } finally {
    closeSync(log);
  }
  watch(attempts, id, child);
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
