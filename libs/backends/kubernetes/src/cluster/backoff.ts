/** Pauses that double up to a longest, each drawn between half of itself and all of it, so that many do not come at once. */
export class Backoff {
  private tries = 0;

  constructor(
    private readonly firstMs: number,
    private readonly longestMs: number,
    private readonly random: () => number = Math.random,
  ) {}

  next(): number {
    const whole = Math.min(this.longestMs, this.firstMs * 2 ** Math.min(this.tries++, 30));
    return whole * (0.5 + this.random() / 2);
  }

  reset(): void {
    this.tries = 0;
  }
}
