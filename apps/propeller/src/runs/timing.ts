import { setTimeout as sleep } from 'node:timers/promises';

/** Something set to happen; cancelling it twice, or after it happened, changes nothing. */
export interface Alarm {
  cancel(): void;
}

/**
 * Where the propeller's time, turns and chance come from. {@link systemTiming} everywhere but in the simulation, where one seed decides
 * all of them.
 */
export interface Timing {
  /** Wall clock in milliseconds since the epoch; may go back. */
  now(): number;
  /** Milliseconds since some moment; never goes back. */
  steady(): number;
  /** Once, after so many milliseconds; does not keep the process alive. */
  after(ms: number, work: () => void): Alarm;
  /** Again and again; does not keep the process alive. */
  every(ms: number, work: () => void): Alarm;
  /** Resolves when what has arrived meanwhile was handled. */
  nextTurn(): Promise<void>;
  /** Resolves after so many milliseconds; rejects when `signal` aborts. Keeps the process alive unless there is a signal. */
  pause(ms: number, signal?: AbortSignal): Promise<void>;
  /** 0 ≤ x < 1. */
  random(): number;
}

export const systemTiming: Timing = {
  now: () => Date.now(),
  steady: () => performance.now(),
  after: (ms, work) => {
    const timeout = setTimeout(work, ms).unref();
    return { cancel: () => clearTimeout(timeout) };
  },
  every: (ms, work) => {
    const interval = setInterval(work, ms).unref();
    return { cancel: () => clearInterval(interval) };
  },
  nextTurn: () => new Promise<void>((resolve) => setImmediate(resolve)),
  pause: (ms, signal) => sleep(ms, undefined, signal ? { signal, ref: false } : {}),
  random: () => Math.random(),
};
