import { performance, type EventLoopUtilization } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How a process is doing. */
export interface HeapLook {
  /** Bytes of the heap's pages. */
  heap: number;
  /** Of these, with objects, also such as nobody needs. */
  used: number;
  /** Part of the time since the last look (0…1) in which it did something. */
  busy: number;
}

const lookMs = 10_000;
const quietBusy = 0.1;
/** Looks in a row at which it had little to do. */
const quietLooks = 2;
const worthwhileBytes = 64 * 2 ** 20;
/** V8 keeps the pages of young objects for a while, as long as it thinks that they will be needed soon again. */
const mostTries = 3;

/**
 * Gives memory back that a burst of work left behind. V8 keeps pages of which a few objects are still needed, and compacts them only when it
 * runs short; a platform that holds a million waiting runs would keep what launching them took, for as long as nothing happens. So when there is
 * little to do for a while, and the heap is a good deal larger than the last time left it, it is compacted, once for each burst.
 */
export class IdleHeap {
  private quiet = 0;
  /** It was compacted, and has not been looked at since. */
  private compacted = false;
  /** What there was after the last time. */
  private left = 0;
  /** How often it was compacted since it was last busy. */
  private tries = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly compact: () => void = compactHeap,
    private readonly look: () => HeapLook = looking(),
  ) {}

  start(): void {
    this.timer = setInterval(() => this.check(), lookMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  check(): void {
    const { heap, used, busy } = this.look();
    if (this.compacted) this.left = heap;
    this.compacted = false;
    if (busy > quietBusy) this.quiet = this.tries = 0;
    else this.quiet += 1;
    if (this.quiet < quietLooks) return;
    const isSpare = heap - used >= worthwhileBytes && this.tries < mostTries;
    if (heap - this.left < worthwhileBytes && !isSpare) return;
    this.compacted = true;
    this.tries += 1;
    this.compact();
  }
}

function looking(): () => HeapLook {
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const busy = performance.eventLoopUtilization(now, last).utilization;
    last = now;
    const { total_heap_size: heap, used_heap_size: used } = getHeapStatistics();
    return { heap, used, busy };
  };
}

/** A full collection, compacting, at the end of the turn: where there is no stack, everything may move. */
function compactHeap(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as (options: { type: string; execution: string }) => Promise<void>;
  setFlagsFromString('--no-expose-gc');
  setFlagsFromString('--compact-on-every-full-gc');
  void gc({ type: 'major', execution: 'async' }).finally(() => setFlagsFromString('--no-compact-on-every-full-gc'));
}
