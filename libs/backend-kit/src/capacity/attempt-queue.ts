import type { Capacity } from '../contract.js';
import { formatBytes, type ResourceRequest } from './quantity.js';

export interface Queued {
  readonly key: string;
  readonly request: ResourceRequest;
  /** Attempts of one group (an execution) take turns with those of others. */
  readonly group: string;
  /** Milliseconds that it may wait before what came later, and may wait longer, lets it pass; default: {@link defaultBudgetMs}. */
  readonly budgetMs?: number | undefined;
}

/** Of attempts that say nothing: what the control plane's MEDIUM tier has by default. */
export const defaultBudgetMs = 600_000;

interface Waiting<T extends Queued> {
  item: T;
  order: number;
  since: number;
  /** When its budget is spent. */
  due: number;
}

/** Whose turn comes first: who has waited for the whole of its budget first, of two such who came first. */
function isBefore<T extends Queued>(one: Waiting<T>, other: Waiting<T>): boolean {
  return one.due < other.due || (one.due === other.due && one.order < other.order);
}

/** Everything of one resource shape and budget: groups in the order of their turns, each a first-in-first-out line. */
class Shape<T extends Queued> {
  readonly lines = new Map<string, Waiting<T>[]>();

  constructor(readonly request: ResourceRequest) {}

  head(): Waiting<T> | undefined {
    for (const line of this.lines.values()) return line[0];
    return undefined;
  }

  add(waiting: Waiting<T>): void {
    const line = this.lines.get(waiting.item.group);
    if (line) line.push(waiting);
    else this.lines.set(waiting.item.group, [waiting]);
  }

  /** Takes the head and sends its group to the end of the turn. */
  shift(): Waiting<T> | undefined {
    for (const [group, line] of this.lines) {
      const first = line.shift();
      this.lines.delete(group);
      if (line.length > 0) this.lines.set(group, line);
      return first;
    }
    return undefined;
  }

  remove(item: T): boolean {
    const line = this.lines.get(item.group);
    const index = line?.findIndex((waiting) => waiting.item.key === item.key) ?? -1;
    if (!line || index < 0) return false;
    line.splice(index, 1);
    if (line.length === 0) this.lines.delete(item.group);
    return true;
  }
}

export interface QueueOptions {
  /**
   * Milliseconds after which an attempt that fits the backend, but never its free part, gets its turn: nothing that is due later
   * starts until it does. Until then whatever fits runs (S-8).
   */
  patienceMs?: number;
  now?: () => number;
}

/**
 * What waits for capacity and what is in use. `take` gives whatever fits now: no attempt waits while there is room for it,
 * the sum in flight never passes the capacity, executions take turns. Of different queueing budgets the one that is spent first goes
 * first: urgent work passes the rest, and can't hold it up for longer than the difference of their budgets. Costs the number
 * of different resource shapes and budgets, whatever the number of waiting attempts.
 */
export class AttemptQueue<T extends Queued> {
  private readonly shapes = new Map<string, Shape<T>>();
  private readonly used = { milliCpu: 0, memoryBytes: 0, gpu: 0, slots: 0 };
  private readonly total: { milliCpu: number; memoryBytes: number; gpu: number; slots: number };
  private readonly patienceMs: number;
  private readonly now: () => number;
  private order = 0;
  private waitingCount = 0;
  /** Out of the queue for the moment: see {@link takeFor}. */
  private readonly lent = new Map<string, Waiting<T>>();

  constructor(capacity: Capacity, options: QueueOptions = {}) {
    this.total = {
      milliCpu: capacity.cpu === undefined ? Infinity : Math.floor(capacity.cpu * 1000),
      memoryBytes: capacity.memoryBytes ?? Infinity,
      gpu: capacity.gpu ?? Infinity,
      slots: capacity.slots ?? Infinity,
    };
    this.patienceMs = options.patienceMs ?? 60_000;
    this.now = options.now ?? Date.now;
  }

  get waiting(): number {
    return this.waitingCount;
  }

  get inUse(): Readonly<{ milliCpu: number; memoryBytes: number; gpu: number; slots: number }> {
    return this.used;
  }

  /** What an attempt asks for beyond everything that there is, in words; `undefined` if it can run some day. */
  exceeds(request: ResourceRequest): string | undefined {
    const { total } = this;
    if (request.milliCpu > total.milliCpu)
      return `cpu ${request.milliCpu / 1000}, and this backend has ${total.milliCpu / 1000}`;
    if (request.memoryBytes > total.memoryBytes)
      return `memory ${formatBytes(request.memoryBytes)}, and this backend has ${formatBytes(total.memoryBytes)}`;
    if (request.gpu > total.gpu) return `gpu ${request.gpu}, and this backend has ${total.gpu}`;
    return undefined;
  }

  /** What is in the way of this request now, in words. */
  shortage(request: ResourceRequest): string {
    const { total, used } = this;
    const missing: string[] = [];
    if (used.slots >= total.slots) missing.push(`all ${total.slots} slots are taken`);
    if (used.milliCpu + request.milliCpu > total.milliCpu)
      missing.push(
        `cpu ${request.milliCpu / 1000} asked, ${(total.milliCpu - used.milliCpu) / 1000} of ${total.milliCpu / 1000} free`,
      );
    if (used.memoryBytes + request.memoryBytes > total.memoryBytes)
      missing.push(
        `memory ${formatBytes(request.memoryBytes)} asked, ${formatBytes(Math.max(0, total.memoryBytes - used.memoryBytes))} of ${formatBytes(total.memoryBytes)} free`,
      );
    if (used.gpu + request.gpu > total.gpu)
      missing.push(`gpu ${request.gpu} asked, ${total.gpu - used.gpu} of ${total.gpu} free`);
    return missing.join('; ') || 'its turn';
  }

  offer(item: T): void {
    const since = this.now();
    this.shapeOf(item).add({ item, order: this.order++, since, due: since + (item.budgetMs ?? defaultBudgetMs) });
    this.waitingCount++;
  }

  /** The next attempt that fits, its resources taken; `undefined` if none does. */
  take(): T | undefined {
    if (this.waitingCount === 0 || this.used.slots >= this.total.slots) return undefined;
    let best: Shape<T> | undefined;
    let bestHead: Waiting<T> | undefined;
    let starving: Waiting<T> | undefined;
    const starvedBefore = this.now() - this.patienceMs;
    for (const shape of this.shapes.values()) {
      const head = shape.head();
      if (!head) continue;
      if (!this.fits(shape.request)) {
        if (head.since < starvedBefore && (!starving || isBefore(head, starving))) starving = head;
      } else if (!bestHead || isBefore(head, bestHead)) {
        best = shape;
        bestHead = head;
      }
    }
    if (!best || !bestHead || (starving && isBefore(starving, bestHead))) return undefined;
    best.shift();
    if (best.lines.size === 0) this.drop(best);
    this.waitingCount--;
    this.occupy(bestHead.item.request);
    return bestHead.item;
  }

  /** What is free now. */
  get free(): { milliCpu: number; memoryBytes: number; gpu: number; slots: number } {
    const { total, used } = this;
    return {
      milliCpu: total.milliCpu - used.milliCpu,
      memoryBytes: total.memoryBytes - used.memoryBytes,
      gpu: total.gpu - used.gpu,
      slots: total.slots - used.slots,
    };
  }

  /** Milliseconds that the oldest has waited; `undefined` if none waits. */
  get oldestMs(): number | undefined {
    let oldest: number | undefined;
    for (const shape of this.shapes.values())
      for (const line of shape.lines.values())
        if (line[0] && (oldest === undefined || line[0].since < oldest)) oldest = line[0].since;
    return oldest === undefined ? undefined : this.now() - oldest;
  }

  /**
   * Takes out what fits into somebody else's room, at most `most`: of each shape the executions in turns, of the shapes the
   * one whose head is due first. {@link putBack} undoes it.
   */
  takeFor(room: { milliCpu: number; memoryBytes: number; gpu: number; slots: number }, most: number): T[] {
    const left = { ...room };
    const taken: T[] = [];
    while (taken.length < most && left.slots > 0) {
      let best: Shape<T> | undefined;
      let bestHead: Waiting<T> | undefined;
      for (const shape of this.shapes.values()) {
        const { milliCpu, memoryBytes, gpu } = shape.request;
        if (milliCpu > left.milliCpu || memoryBytes > left.memoryBytes || gpu > left.gpu) continue;
        const head = shape.head();
        if (head && (!bestHead || isBefore(head, bestHead))) {
          best = shape;
          bestHead = head;
        }
      }
      if (!best || !bestHead) break;
      best.shift();
      if (best.lines.size === 0) this.drop(best);
      this.waitingCount--;
      const { milliCpu, memoryBytes, gpu } = bestHead.item.request;
      left.milliCpu -= milliCpu;
      left.memoryBytes -= memoryBytes;
      left.gpu -= gpu;
      left.slots--;
      this.lent.set(bestHead.item.key, bestHead);
      taken.push(bestHead.item);
    }
    return taken;
  }

  /** It went elsewhere after all. */
  gone(item: T): void {
    this.lent.delete(item.key);
  }

  /** Back to where it was in its line. */
  putBack(item: T): void {
    const waiting = this.lent.get(item.key);
    this.lent.delete(item.key);
    if (!waiting) return this.offer(item);
    const shape = this.shapeOf(item);
    const line = shape.lines.get(item.group);
    if (!line) shape.add(waiting);
    else {
      const at = line.findIndex(({ order }) => order > waiting.order);
      line.splice(at < 0 ? line.length : at, 0, waiting);
    }
    this.waitingCount++;
  }

  /** Takes a waiting attempt out. */
  remove(item: T): boolean {
    for (const shape of this.shapes.values())
      if (shape.remove(item)) {
        if (shape.lines.size === 0) this.drop(shape);
        this.waitingCount--;
        return true;
      }
    return false;
  }

  /** For work that runs already (found again after a restart): taken even if that passes the capacity. */
  occupy(request: ResourceRequest): void {
    this.used.milliCpu += request.milliCpu;
    this.used.memoryBytes += request.memoryBytes;
    this.used.gpu += request.gpu;
    this.used.slots++;
  }

  release(request: ResourceRequest): void {
    this.used.milliCpu -= request.milliCpu;
    this.used.memoryBytes -= request.memoryBytes;
    this.used.gpu -= request.gpu;
    this.used.slots--;
  }

  private shapeOf({ request, budgetMs = defaultBudgetMs }: T): Shape<T> {
    const { milliCpu, memoryBytes, gpu } = request;
    const name = `${milliCpu}/${memoryBytes}/${gpu}/${budgetMs}`;
    let shape = this.shapes.get(name);
    if (!shape) this.shapes.set(name, (shape = new Shape(request)));
    return shape;
  }

  private fits(request: ResourceRequest): boolean {
    const { used, total } = this;
    return (
      used.milliCpu + request.milliCpu <= total.milliCpu &&
      used.memoryBytes + request.memoryBytes <= total.memoryBytes &&
      used.gpu + request.gpu <= total.gpu
    );
  }

  private drop(shape: Shape<T>): void {
    for (const [name, candidate] of this.shapes) if (candidate === shape) this.shapes.delete(name);
  }
}
