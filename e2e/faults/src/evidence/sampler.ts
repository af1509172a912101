import { isAlive } from '../processes/proc.js';
import type { Mark, Sighting } from './evidence.js';
import { MarkTail } from './marks.js';

const lookEveryMs = 200;

/** Follows the marks and looks which attempts' processes are alive: those in flight, for faults and for judgement. */
export class Sampler {
  private readonly tail: MarkTail;
  /** Started and not ended, by process. */
  private readonly open = new Map<string, Mark>();
  private readonly seen = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.tail = new MarkTail(path);
  }

  start(): void {
    this.timer = setInterval(() => (this.looking = this.looking.then(() => this.look())), lookEveryMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
    await this.look();
  }

  /** Attempts whose process runs now. */
  inFlight(): { mark: Mark; pid: number; start: string }[] {
    return [...this.open.values()]
      .map((mark) => ({ mark, ...identityOf(mark.process) }))
      .filter(({ pid, start }) => isAlive(pid, start));
  }

  sightings(): Sighting[] {
    return [...this.seen].map(([process, lastAliveAt]) => ({ process, lastAliveAt }));
  }

  private async look(): Promise<void> {
    for (const mark of await this.tail.next()) {
      if (mark.what === 'start') this.open.set(mark.process, mark);
      else this.open.delete(mark.process);
    }
    const now = Date.now();
    for (const process of this.open.keys()) {
      const { pid, start } = identityOf(process);
      if (isAlive(pid, start)) this.seen.set(process, now);
      else this.open.delete(process);
    }
  }
}

function identityOf(process: string): { pid: number; start: string } {
  const [pid, start] = process.split('.') as [string, string];
  return { pid: Number(pid), start };
}
