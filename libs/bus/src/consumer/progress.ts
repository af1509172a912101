/** Lets callers wait until something that moves has come far enough, or has failed for good. */
export class Progress {
  #waiting: (() => void)[] = [];
  #failure: unknown;

  get failure(): unknown {
    return this.#failure;
  }

  moved(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  fail(error: unknown): void {
    this.#failure ??= error;
    this.moved();
  }

  async until(reached: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (reached()) return;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}
