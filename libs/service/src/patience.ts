import { setTimeout as delay } from 'node:timers/promises';
import { AloftError, toAloftError } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';

export interface PatienceOptions {
  /** What is waited for, for the log: `database`. */
  part: string;
  patienceMs: number;
  logger: Logger;
  /** Ends the waiting: somebody wants the process to stop. */
  signal: AbortSignal;
}

const pauseMs = 500;

/**
 * A part that starts at the same time as we do, or restarts just now, is waited for a little; anything but UNAVAILABLE is a
 * mistake that waiting does not mend.
 */
export async function withPatience<T>(attempt: () => Promise<T>, options: PatienceOptions): Promise<T> {
  const { part, patienceMs, logger, signal } = options;
  const until = Date.now() + patienceMs;
  for (let told = false; ; told = true) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = toAloftError(thrown);
      if (error.code !== 'UNAVAILABLE' || Date.now() + pauseMs > until) throw error;
      if (!told) logger.warn({ part, reason: error.message, patienceMs }, 'a part cannot be reached yet; tried again');
    }
    await delay(pauseMs, undefined, { signal }).catch(() => {
      throw new AloftError('CANCELLED', `stopped while waiting for the ${part}`);
    });
  }
}
