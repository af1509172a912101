import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessTarget } from '../platform/platform.js';
import { isAlive, type ProcessInfo, readProcess, signal } from './proc.js';

/** A process that somebody else started and starts again: a helper of the platform, a backend of Postgres, a task. */
export function observedProcess(
  name: string,
  { pid, start }: Pick<ProcessInfo, 'pid' | 'start'>,
  back: () => Promise<void>,
): ProcessTarget {
  /** Its number may be another's by now. */
  const send = (what: NodeJS.Signals): boolean => readProcess(pid)?.start === start && signal(pid, what);
  return {
    name: `${name} (${pid})`,
    async kill() {
      send('SIGKILL');
      while (isAlive(pid, start)) await delay(10);
    },
    pause: () => send('SIGSTOP'),
    resume: () => void send('SIGCONT'),
    start: back,
  };
}
