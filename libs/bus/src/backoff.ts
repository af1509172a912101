import { setTimeout as delay } from 'node:timers/promises';

/** Waits that double from `firstMs` to `maxMs`, each between half and all of it (jitter). */
export class Backoff {
  #attempt = 0;

  constructor(
    readonly firstMs = 50,
    readonly maxMs = 10_000,
  ) {}

  reset(): void {
    this.#attempt = 0;
  }

  /** Resolves early, without an error, when the signal aborts. */
  async wait(signal?: AbortSignal): Promise<void> {
    const ceiling = Math.min(this.maxMs, this.firstMs * 2 ** Math.min(this.#attempt++, 20));
    await delay(ceiling * (0.5 + Math.random() / 2), undefined, { signal }).catch((error: Error) => {
      if (error.name !== 'AbortError') throw error;
    });
  }
}
