/**
 * How far a stream has been applied. Messages are taken in order of position but may be applied out of order (one whose run
 * is still being loaded waits, those of other runs go on); what may be stored is the last position before the first that is not
 * applied yet.
 */
export class PositionTracker {
  /** Taken and not yet passed, in order; `done` ones are passed when they come to the front. */
  private readonly taken: { position: bigint; done: boolean }[] = [];
  private first = 0;
  private prefix: bigint;

  constructor(start: bigint) {
    this.prefix = start;
  }

  /** Everything up to here has been applied. */
  get applied(): bigint {
    return this.prefix;
  }

  /** Messages taken and waiting. */
  get waiting(): number {
    return this.taken.length - this.first;
  }

  /** Whether a position was taken before (a repeat). */
  seen(position: bigint): boolean {
    const last = this.taken[this.taken.length - 1];
    return position <= (last === undefined ? this.prefix : last.position);
  }

  /** Returns what marks the position as applied. */
  take(position: bigint): () => void {
    const entry = { position, done: false };
    this.taken.push(entry);
    return () => {
      entry.done = true;
      this.pass();
    };
  }

  private pass(): void {
    while (this.first < this.taken.length && this.taken[this.first]!.done) {
      this.prefix = this.taken[this.first]!.position;
      this.first += 1;
    }
    if (this.first === this.taken.length) {
      this.taken.length = 0;
      this.first = 0;
    } else if (this.first > 1024) {
      this.taken.splice(0, this.first);
      this.first = 0;
    }
  }
}
