interface Taken {
  position: bigint;
  done: boolean;
}

/**
 * Messages of one stream that were taken without a transaction: how far their effects have come, and so how far the position
 * may be moved.
 */
export class RepeatableMessages {
  #taken: Taken[] = [];
  #waiting: (() => void)[] = [];

  constructor(
    private readonly stop: AbortSignal,
    /** There is something to be stored. */
    private readonly onDone: () => void,
  ) {
    stop.addEventListener('abort', () => this.#wake(), { once: true });
  }

  /** Everything up to `position` has been taken; in order of position. */
  add(position: bigint, done: Promise<void>): void {
    const taken: Taken = { position, done: false };
    this.#taken.push(taken);
    void done.then(() => {
      taken.done = true;
      if (this.#taken.every((each) => each.done)) this.#wake();
      this.onDone();
    });
  }

  /** Up to where all is done; `undefined`: nowhere. */
  get passed(): bigint | undefined {
    let position: bigint | undefined;
    for (const taken of this.#taken) {
      if (!taken.done) break;
      position = taken.position;
    }
    return position;
  }

  /** The position is stored up to here. */
  stored(position: bigint): void {
    this.#taken = this.#taken.filter((taken) => taken.position > position);
  }

  /** Resolves when all is done, or on stop. */
  async done(): Promise<void> {
    while (!this.stop.aborted && this.#taken.some(({ done }) => !done))
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
