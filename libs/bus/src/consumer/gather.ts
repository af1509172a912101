import type { IncomingMessage, ReadBatch, StreamReader } from '../port.js';

export interface GatherOptions {
  maxBatch: number;
  gatherMs: number;
  urgent?: ((message: IncomingMessage) => boolean) | undefined;
  /** How long at least, with something urgent in it (default 0). */
  urgentMs?: number;
}

interface Times {
  gatherMs: number;
  maxGatherMs?: number | undefined;
  /** What the last batch took. */
  tookMs: number;
}

/** How long to gather after a batch that took some time: little where there is little to do, and no longer than twice as long as it took. */
export function gatherTime({ gatherMs, maxGatherMs = gatherMs, tookMs }: Times): number {
  return Math.min(Math.max(gatherMs, 2 * tookMs), maxGatherMs);
}

/**
 * How long with something urgent in it: not at all where batches are quick. Under load something urgent is in each; as long as the last one took, so that
 * batches don't follow on one another with hardly anything in them.
 */
export function urgentTime({ gatherMs, maxGatherMs = gatherMs, tookMs }: Times): number {
  return tookMs <= gatherMs ? 0 : Math.min(tookMs, maxGatherMs);
}

/** A batch with what comes within some milliseconds behind it: until it is full, something urgent in it has waited long enough, or the reader closes. */
export async function gather(
  reader: Pick<StreamReader, 'poll' | 'ready'>,
  first: ReadBatch,
  { maxBatch, gatherMs, urgent, urgentMs = 0 }: GatherOptions,
): Promise<ReadBatch> {
  const batches = [first];
  let count = first.messages.length;
  const began = performance.now();
  let isOver = false;
  let end: (() => void) | undefined;
  const over = new Promise<void>((resolve) => (end = resolve));
  const endIn = (ms: number) =>
    setTimeout(() => {
      isOver = true;
      end?.();
    }, ms);
  let timer = endIn(gatherMs);
  let isUrgent = false;
  const look = ({ messages }: ReadBatch): void => {
    if (isUrgent || !urgent || !messages.some(urgent)) return;
    isUrgent = true;
    clearTimeout(timer);
    const left = Math.min(urgentMs, gatherMs) - (performance.now() - began);
    if (left <= 0) isOver = true;
    else timer = endIn(left);
  };
  look(first);
  while (!isOver && count < maxBatch) {
    await Promise.race([reader.ready(), over]);
    const more = pollOf(reader, maxBatch - count);
    if (!more) break;
    batches.push(more);
    count += more.messages.length;
    look(more);
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
