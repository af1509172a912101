import type { BackendLoad } from '@aloft/idl/aloft/v1/attempts';

/** When an attempt ran: milliseconds of the epoch. */
export interface RanAttempt {
  backend: string;
  from: number;
  to: number;
  /** How many ran in it at once: items of an array; else 1. */
  width: number;
}

/** How many attempts ran at once, by backend, in parts of a while. Pure. */
export class LoadCurves {
  /** Of each backend: moments, and by how much the number that runs changes then. */
  private readonly changes = new Map<string, [at: number, by: number][]>();

  constructor(
    private readonly since: number,
    private readonly until: number,
    private readonly parts: number,
  ) {}

  /** What did not run in the while is left out. */
  add({ backend, from, to, width }: RanAttempt): void {
    if (to < this.since || from >= this.until || to < from) return;
    let changes = this.changes.get(backend);
    if (!changes) this.changes.set(backend, (changes = []));
    changes.push([Math.max(from, this.since), width], [to, -width]);
  }

  answer(): BackendLoad[] {
    return [...this.changes]
      .map(([backend, changes]) => ({ backend, running: this.curve(changes) }))
      .sort((a, b) => (a.backend < b.backend ? -1 : 1));
  }

  /** The most of each part. Who begins in the moment in which another ends follows it. */
  private curve(changes: [number, number][]): number[] {
    changes.sort(([a, up], [b, down]) => a - b || up - down);
    const partMs = (this.until - this.since) / this.parts;
    let next = 0;
    let running = 0;
    return Array.from({ length: this.parts }, (_, part) => {
      const end = this.since + (part + 1) * partMs;
      let most = running;
      for (; next < changes.length && changes[next]![0] < end; next++) {
        running += changes[next]![1];
        most = Math.max(most, running);
      }
      return Math.round(most);
    });
  }
}
