/** Doubling from the first delay to the longest, a fifth up or down so that many do not come back at once. */
export function backoff(attempt: number, firstMs: number, maxMs: number, random = Math.random): number {
  return Math.min(firstMs * 2 ** Math.min(attempt - 1, 30), maxMs) * (0.8 + 0.4 * random());
}
