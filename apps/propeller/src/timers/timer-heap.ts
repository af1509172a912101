export interface DueTimer {
  uid: string;
  timer: bigint;
  /** Milliseconds since the epoch. */
  at: number;
}

/**
 * The near timers of the runs that this process owns, earliest first. Cancelled or moved ones stay in the heap until they come
 * up and are recognised as stale then: cancelling costs nothing.
 */
export class TimerHeap {
  private readonly heap: DueTimer[] = [];
  private readonly current = new Map<string, DueTimer>();

  get size(): number {
    return this.current.size;
  }

  set(timer: DueTimer): void {
    this.current.set(keyOf(timer.uid, timer.timer), timer);
    this.heap.push(timer);
    this.up(this.heap.length - 1);
  }

  /** One read from its row: what memory says of it is newer. */
  load(timer: DueTimer): void {
    if (!this.current.has(keyOf(timer.uid, timer.timer))) this.set(timer);
  }

  cancel(uid: string, timer: bigint): void {
    this.current.delete(keyOf(uid, timer));
  }

  /** When the next one is due; `undefined` if there is none. */
  next(): number | undefined {
    this.dropStale();
    return this.heap[0]?.at;
  }

  /** Takes out those due by `now`, at most `limit`, earliest first. */
  due(now: number, limit: number): DueTimer[] {
    const due: DueTimer[] = [];
    for (;;) {
      this.dropStale();
      const first = this.heap[0];
      if (first === undefined || first.at > now || due.length >= limit) return due;
      this.current.delete(keyOf(first.uid, first.timer));
      this.pop();
      due.push(first);
    }
  }

  private dropStale(): void {
    for (let first = this.heap[0]; first !== undefined; first = this.heap[0]) {
      if (this.current.get(keyOf(first.uid, first.timer)) === first) return;
      this.pop();
    }
  }

  private pop(): void {
    const last = this.heap.pop();
    if (last === undefined || this.heap.length === 0) return;
    this.heap[0] = last;
    this.down(0);
  }

  private up(index: number): void {
    const { heap } = this;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (heap[parent]!.at <= heap[index]!.at) return;
      [heap[parent], heap[index]] = [heap[index]!, heap[parent]!];
      index = parent;
    }
  }

  private down(index: number): void {
    const { heap } = this;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const child = right < heap.length && heap[right]!.at < heap[left]!.at ? right : left;
      if (heap[index]!.at <= heap[child]!.at) return;
      [heap[child], heap[index]] = [heap[index]!, heap[child]!];
      index = child;
    }
  }
}

function keyOf(uid: string, timer: bigint): string {
  return `${uid}/${timer}`;
}
