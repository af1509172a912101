import { AloftError, unavailable } from '@aloft/errors';
import type { Timing } from '../runs/timing.js';
import type { Random } from './random.js';
import { epoch, type Owner, type Scheduler } from './scheduler.js';

/** How well the world around a process works at the moment. */
export interface Weather {
  /** Probability that a call fails before it reaches the other side. */
  failing: number;
  /** Probability that its answer is lost, though it was heard. */
  deaf: number;
  /** Probability that it takes up to `hangMs`. */
  slow: number;
  hangMs: number;
}

export const calm: Weather = { failing: 0, deaf: 0, slow: 0, hangMs: 0 };

/** One simulated process of the operating system: a clock of its own, and calls to what lies outside of it. */
export class SimProcess implements Owner {
  alive = true;
  pausedUntil = 0;
  /** Milliseconds that its wall clock is off. */
  skew = 0;
  private readonly onDeath: (() => void)[] = [];

  constructor(
    readonly name: string,
    readonly scheduler: Scheduler,
    readonly random: Random,
    private readonly weather: (kind: string) => Weather,
  ) {}

  readonly timing: Timing = {
    now: () => Math.floor(epoch + this.scheduler.time + this.skew),
    steady: () => this.scheduler.time,
    after: (ms, work) => {
      const event = this.scheduler.after(Math.max(ms, 1), 'timer', work, this);
      return { cancel: () => (event.cancelled = true) };
    },
    every: (ms, work) => {
      let event = this.scheduler.after(ms, 'interval', () => again(), this);
      const again = () => {
        event = this.scheduler.after(ms, 'interval', () => again(), this);
        work();
      };
      return { cancel: () => (event.cancelled = true) };
    },
    nextTurn: () => new Promise((resolve) => this.scheduler.after(0, 'turn', resolve, this)),
    pause: (ms, signal) => this.pause(ms, signal),
    random: () => this.random.next(),
  };

  /** Ends at once, as `kill -9` does: what it waits for never comes. */
  die(): void {
    this.alive = false;
    for (const told of this.onDeath) told();
  }

  whenDead(told: () => void): void {
    this.onDeath.push(told);
  }

  /**
   * Asks something of the world outside: it takes a while to get there, is done there at one moment, and its answer takes a while. On the
   * way it may fail, be lost, or hang. What a process asked before it died is done or not.
   */
  call<T>(kind: string, label: string, work: () => T, lost?: (reason: string) => Error): Promise<T> {
    const { scheduler, random } = this;
    const weather = this.weather(kind);
    const there =
      weather.slow > 0 && random.chance(weather.slow) ? random.between(0, weather.hangMs) : random.next() * 2;
    const failing = random.chance(weather.failing);
    const deaf = !failing && random.chance(weather.deaf);
    return new Promise((resolve, reject) => {
      const back = (settle: () => void) => scheduler.after(random.next() * 2, `${label} answered`, settle, this);
      scheduler.after(there, label, () => {
        if (!this.alive && random.chance(0.5)) return;
        if (failing) {
          scheduler.note(`${this.name}: ${label} fails on its way`);
          back(() => reject(unavailable(`${kind}: no connection`)));
          return;
        }
        let settle: () => void;
        try {
          const value = work();
          settle = () => resolve(value);
        } catch (error) {
          if (!(error instanceof AloftError)) throw error;
          settle = () => reject(error);
        }
        if (deaf) {
          scheduler.note(`${this.name}: the answer to ${label} is lost`);
          settle = () => reject(lost?.('answer lost') ?? unavailable(`${kind}: the connection was lost`));
        }
        back(settle);
      });
    });
  }

  private pause(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const aborted = () => {
        event.cancelled = true;
        reject(signal!.reason as Error);
      };
      const event = this.scheduler.after(
        ms,
        'pause',
        () => {
          signal?.removeEventListener('abort', aborted);
          resolve();
        },
        this,
      );
      if (signal?.aborted) aborted();
      else signal?.addEventListener('abort', aborted, { once: true });
    });
  }
}
