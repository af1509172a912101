import { uptime } from 'node:os';

/**
 * How long this launcher's host holds its work, in seconds of `os.uptime()`: a clock that every process of the machine shares,
 * and that goes on while they or the machine sleep. Nothing may run after it, for another host begins it anew then. The
 * host says so with each renewal; when it stops saying so, however it fares, time runs out here.
 */
export class Lease {
  private until: number | undefined;
  private timer: NodeJS.Timeout | undefined;
  private told = false;

  constructor(private readonly onOver: () => void) {}

  /** Without one, work outlives everything (a host that shares its backend with nobody). */
  get isKept(): boolean {
    return this.until !== undefined;
  }

  get isOver(): boolean {
    return this.until !== undefined && uptime() >= this.until;
  }

  extend(until: number): void {
    this.until = Math.max(until, this.until ?? -Infinity);
    if (!this.isOver) this.told = false;
    this.check();
  }

  /** Also before anything else is done: after a pause, what was asked for meanwhile comes before timers. */
  check(): void {
    clearTimeout(this.timer);
    if (this.until === undefined) return;
    if (!this.isOver) this.timer = setTimeout(() => this.check(), (this.until - uptime()) * 1000 + 1);
    else if (!this.told) {
      this.told = true;
      this.onOver();
    }
  }
}
