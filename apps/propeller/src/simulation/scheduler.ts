import { hashOf } from './random.js';

/** Whoever an event happens to; it happens later if its owner stands still, and never if its owner is dead. */
export interface Owner {
  readonly name: string;
  readonly alive: boolean;
  /** World time until which nothing happens to it (milliseconds). */
  readonly pausedUntil: number;
}

export interface Scheduled {
  at: number;
  cancelled: boolean;
}

interface Event extends Scheduled {
  order: number;
  owner: Owner | undefined;
  label: string;
  work(): void;
}

/** Start of every world's time, in milliseconds since the epoch. */
export const epoch = 1_700_000_000_000;

/** The world can't go on: too many events, too much time, or nothing left to happen. */
export class Stuck extends Error {}

/**
 * The one clock of a world and everything that is going to happen in it, in order of time. Between two events all promises settle,
 * so a run of the world is a function of its seed.
 */
export class Scheduler {
  time = 0;
  happened = 0;
  /** Of everything that happened, in order. */
  digest = 0x811c9dc5;
  private readonly heap: Event[] = [];
  private orders = 0;

  constructor(private readonly trace?: (line: string) => void) {}

  after(ms: number, label: string, work: () => void, owner?: Owner): Scheduled {
    this.orders += 1;
    const event = { at: this.time + Math.max(ms, 0), order: this.orders, owner, label, work, cancelled: false };
    this.push(event);
    return event;
  }

  /** Something worth telling about. */
  note(line: string): void {
    this.digest = hashOf(line, this.digest);
    this.trace?.(`${(this.time / 1000).toFixed(4).padStart(10)}  ${line}`);
  }

  /** Lets things happen until `done`. @throws Stuck */
  run(done: () => boolean, limits: { events: number; time: number }): Promise<void> {
    return inTurns(() => {
      while (!done()) {
        const event = this.pop();
        if (!event) throw new Stuck('nothing is left that could happen');
        if (event.cancelled || event.owner?.alive === false) continue;
        if (event.owner && event.owner.pausedUntil > event.at) {
          event.at = event.owner.pausedUntil;
          this.push(event);
          continue;
        }
        this.happen(event, limits);
        return true;
      }
      return false;
    });
  }

  private happen(event: Event, limits: { events: number; time: number }): void {
    this.time = Math.max(this.time, event.at);
    this.happened += 1;
    if (this.happened > limits.events) throw new Stuck(`no end after ${limits.events} events`);
    if (this.time > limits.time) throw new Stuck(`no end after ${Math.round(limits.time / 1000)} simulated seconds`);
    this.digest = hashOf(`${event.at} ${event.owner?.name ?? ''} ${event.label}`, this.digest);
    event.work();
  }

  private push(event: Event): void {
    const { heap } = this;
    let hole = heap.length;
    heap.push(event);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[hole] = heap[parent]!;
      hole = parent;
    }
    heap[hole] = event;
  }

  private pop(): Event | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let hole = 0;
    for (let child = 1; child < heap.length; child = 2 * hole + 1) {
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (!before(heap[child]!, last)) break;
      heap[hole] = heap[child]!;
      hole = child;
    }
    heap[hole] = last;
    return first;
  }
}

/** Turns asked for at once: asking for each apart costs a round of the whole event loop. */
const turnsAtOnce = 64;

/** Calls `turn` until it returns false; between two calls all promises settle, and rejections that nobody handles are told. */
function inTurns(turn: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let asked: NodeJS.Immediate[] = [];
    const end = (settle: () => void) => {
      for (const each of asked) clearImmediate(each);
      settle();
    };
    const take = (last: boolean) => {
      try {
        if (!turn()) end(resolve);
        else if (last) ask();
      } catch (error) {
        end(() => reject(error as Error));
      }
    };
    const ask = () => {
      asked = Array.from({ length: turnsAtOnce }, (_, i) => setImmediate(take, i === turnsAtOnce - 1));
    };
    ask();
  });
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
