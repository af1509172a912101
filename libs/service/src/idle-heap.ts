import { performance, type EventLoopUtilization } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How a process is doing: bytes of its heap (also those that nobody needs), and the part of the time since the last look (0…1) in which it did something. */
export interface HeapLook {
  heap: number;
  busy: number;
}

const lookMs = 10_000;
const quietBusy = 0.1;
/** Looks in a row at which it had little to do. */
const quietLooks = 2;
const worthwhileBytes = 128 * 2 ** 20;

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
    const { heap, busy } = this.look();
    if (this.compacted) this.left = heap;
    this.compacted = false;
    this.quiet = busy > quietBusy ? 0 : this.quiet + 1;
    if (this.quiet < quietLooks || heap - this.left < worthwhileBytes) return;
    this.compacted = true;
    this.compact();
  }
}

function looking(): () => HeapLook {
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const busy = performance.eventLoopUtilization(now, last).utilization;
    last = now;
    return { heap: getHeapStatistics().total_heap_size, busy };
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
