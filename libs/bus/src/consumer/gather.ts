import type { IncomingMessage, ReadBatch, StreamReader } from '../port.js';

export interface GatherOptions {
  maxBatch: number;
  gatherMs: number;
  urgent?: ((message: IncomingMessage) => boolean) | undefined;
}

/** How long to gather after a batch that took some time: little where there is little to do, and no longer than twice as long as it took. */
export function gatherTime(times: { gatherMs: number; maxGatherMs?: number | undefined; tookMs: number }): number {
  const { gatherMs, maxGatherMs = gatherMs, tookMs } = times;
  return Math.min(Math.max(gatherMs, 2 * tookMs), maxGatherMs);
}

/** A batch with what comes within some milliseconds behind it: until it is full or has something urgent, or the reader closes. */
export async function gather(
  reader: Pick<StreamReader, 'poll' | 'ready'>,
  first: ReadBatch,
  { maxBatch, gatherMs, urgent }: GatherOptions,
): Promise<ReadBatch> {
  const batches = [first];
  let count = first.messages.length;
  let hurry = urgent !== undefined && first.messages.some(urgent);
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      hurry = true;
      resolve();
    }, gatherMs);
  });
  while (!hurry && count < maxBatch) {
    await Promise.race([reader.ready(), over]);
    const more = pollOf(reader, maxBatch - count);
    if (!more) break;
    batches.push(more);
    count += more.messages.length;
    hurry ||= urgent !== undefined && more.messages.some(urgent);
  }
  clearTimeout(timer);
  if (batches.length === 1) return first;
  return {
    messages: batches.flatMap(({ messages }) => messages),
    acknowledge: () => batches.forEach((batch) => batch.acknowledge()),
    reject: (error) => batches.forEach((batch) => batch.reject(error)),
  };
}

/** `undefined`: nothing came in time, or no more will. What makes the reader fail is told by its `next`. */
function pollOf(reader: Pick<StreamReader, 'poll'>, limit: number): ReadBatch | undefined {
  try {
    return reader.poll(limit);
  } catch {
    return undefined;
  }
}
