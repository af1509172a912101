export interface PaceOptions {
  /** Turns a second at most. */
  perSecond: number;
  now?: () => number;
}

/** Slowest it gets, as a part of the rate that was asked for, however often it is told to slow down. */
const slowest = 1 / 50;

/**
 * Turns at a bounded rate, in the order in which they are asked for. A service that throttles halves the rate, once for all that was under way at
 * the time; each turn that went well brings back a fiftieth of it.
 */
export class Pace {
  private rate: number;
  private nextAt = 0;
  private slowedAt = -Infinity;
  private readonly waiting: (() => void)[] = [];
  private timer: NodeJS.Timeout | undefined;
  private readonly now: () => number;

  constructor(private readonly options: PaceOptions) {
    this.rate = options.perSecond;
    this.now = options.now ?? (() => performance.now());
  }

  get perSecond(): number {
    return this.rate;
  }

  /** Resolves with when it was given. */
  async turn(): Promise<number> {
    await new Promise<void>((resolve) => {
      this.waiting.push(resolve);
      this.give();
    });
    return this.now();
  }

  /** The turn that was given at this time was refused: later ones come half as fast, the next after a pause of two. */
  slowDown(turn: number): void {
    if (turn <= this.slowedAt) return;
    this.slowedAt = this.now();
    this.rate = Math.max(this.options.perSecond * slowest, this.rate / 2);
    this.nextAt = Math.max(this.nextAt, this.slowedAt + 2_000 / this.rate);
  }

  wentWell(): void {
    this.rate = Math.min(this.options.perSecond, this.rate + this.options.perSecond / 50);
  }

  private give(): void {
    if (this.timer) return;
    const now = this.now();
    // What was not used for a while is not saved up, but for a tenth of a second.
    this.nextAt = Math.max(this.nextAt, now - 100);
    while (this.waiting.length > 0 && this.nextAt <= now) {
      this.nextAt += 1000 / this.rate;
      this.waiting.shift()?.();
    }
    if (this.waiting.length === 0) return;
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        this.give();
      },
      Math.max(1, this.nextAt - now),
    );
  }
}
