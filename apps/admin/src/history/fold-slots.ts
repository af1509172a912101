import { resourceExhausted } from '@aloft/errors';

/** Bounds how many runs are folded at once here: each takes a processor and the memory of its state. */
export class FoldSlots {
  private taken = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(
    private readonly slots: number,
    private readonly maxWaiting: number,
  ) {}

  /** @throws RESOURCE_EXHAUSTED when too many wait already. */
  async with<T>(work: () => Promise<T>): Promise<T> {
    await this.take();
    try {
      return await work();
    } finally {
      // Whoever waits longest gets it.
      const next = this.waiting.shift();
      if (next) next();
      else this.taken--;
    }
  }

  private async take(): Promise<void> {
    if (this.taken < this.slots) {
      this.taken++;
      return;
    }
    if (this.waiting.length >= this.maxWaiting)
      throw resourceExhausted(
        `${this.slots} histories are being folded here and ${this.waiting.length} wait: try again later`,
      );
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }
}
