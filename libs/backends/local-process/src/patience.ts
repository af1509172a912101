import { AloftError } from '@aloft/errors';

/** Tries again for a while: an attempt must not be lost for a moment's trouble of the storage. */
export async function withPatience<T>(work: () => Promise<T>, ms = 4_000): Promise<T> {
  const end = performance.now() + ms;
  for (let pause = 50; ; pause = Math.min(5_000, pause * 3)) {
    try {
      return await work();
    } catch (error) {
      const over = performance.now() + pause > end || (error instanceof AloftError && error.code === 'ABORTED');
      if (over) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
