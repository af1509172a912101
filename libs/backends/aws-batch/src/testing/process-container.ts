import { spawn } from 'node:child_process';
import type { Ended, Running } from './fake-batch.js';

/** A container as a process of this machine, with its command and environment; the image is what it asks for by name. */
export async function runProcess({ command, environment, image, signal, log }: Running): Promise<Ended> {
  if (image.includes('no-such-thing'))
    return {
      statusReason: 'Task failed to start',
      reason: `CannotPullContainerError: pull access denied for ${image}, repository does not exist`,
    };
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], ...environment },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, 'SIGKILL');
  };
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      for (const line of String(data).split('\n')) if (line !== '') log(line);
    });
  return new Promise<Ended>((resolve) => {
    child.once('error', (error) => resolve({ reason: `CannotStartContainerError: ${error.message}` }));
    child.once('close', (code, killed) => {
      const outOfMemory = environment['ALOFT_TEST_BEHAVIOUR'] === 'use-memory';
      if (outOfMemory) resolve({ exitCode: 137, reason: 'OutOfMemoryError: Container killed due to memory usage' });
      else resolve({ exitCode: code ?? (killed === 'SIGKILL' ? 137 : 143) });
    });
  });
}
