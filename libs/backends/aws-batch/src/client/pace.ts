export interface PaceOptions {
  /** Turns a second at most. */
  perSecond: number;
  now?: () => number;
}

/** Slowest it gets, in turns a second, however often it is told to slow down. */
const slowest = 0.5;

/**
 * Turns at a bounded rate, in the order in which they are asked for. A service that throttles halves the rate at once; each turn that went well
 * brings back a fiftieth of it.
 */
export class Pace {
  private rate: number;
  private nextAt = 0;
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

  async turn(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.waiting.push(resolve);
      this.give();
    });
  }

  /** The last turn was refused: later ones come half as fast, the next not before `pauseMs`. */
  slowDown(pauseMs: number): void {
    this.rate = Math.max(slowest, this.rate / 2);
    this.nextAt = Math.max(this.nextAt, this.now() + pauseMs);
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
