/** Edges in compressed rows: those of row `r` are `entries[first[r] … first[r + 1])`. */
export interface Rows {
  first: Int32Array;
  entries: Int32Array;
}

/** Collects edges between the integers 0 … count-1; an edge added twice is there once. */
export class EdgeList {
  private readonly from: number[] = [];
  private readonly to: number[] = [];

  constructor(private readonly count: number) {}

  add(from: number, to: number): void {
    this.from.push(from);
    this.to.push(to);
  }

  /** Rows by origin (`forward`) or by target (`backward`), in the order in which the edges were added. */
  rows(direction: 'forward' | 'backward'): Rows {
    const rowOf = direction === 'forward' ? this.from : this.to;
    const entryOf = direction === 'forward' ? this.to : this.from;
    const starts = new Int32Array(this.count + 1);
    for (const row of rowOf) starts[row + 1]!++;
    for (let row = 0; row < this.count; row++) starts[row + 1]! += starts[row]!;
    const all = new Int32Array(rowOf.length);
    const next = starts.slice();
    for (let edge = 0; edge < rowOf.length; edge++) all[next[rowOf[edge]!]!++] = entryOf[edge]!;
    // Second pass: drop repeats, in place, with one mark per entry that says in which row it was seen last.
    const seenIn = new Int32Array(this.count).fill(-1);
    const first = new Int32Array(this.count + 1);
    let kept = 0;
    for (let row = 0; row < this.count; row++) {
      first[row] = kept;
      for (let edge = starts[row]!; edge < starts[row + 1]!; edge++) {
        const entry = all[edge]!;
        if (seenIn[entry] === row) continue;
        seenIn[entry] = row;
        all[kept++] = entry;
      }
    }
    first[this.count] = kept;
    return { first, entries: all.slice(0, kept) };
  }

  degrees(rows: Rows): Int32Array {
    const degrees = new Int32Array(this.count);
    for (let row = 0; row < this.count; row++) degrees[row] = rows.first[row + 1]! - rows.first[row]!;
    return degrees;
  }

  /** 1 for every node that `keep`s one of its edges. */
  origins(keep: (to: number) => boolean): Uint8Array {
    const marks = new Uint8Array(this.count);
    for (let edge = 0; edge < this.from.length; edge++) if (keep(this.to[edge]!)) marks[this.from[edge]!] = 1;
    return marks;
  }

  /** 1 for every node with an edge into it. */
  targets(): Uint8Array {
    const marks = new Uint8Array(this.count);
    for (const to of this.to) marks[to] = 1;
    return marks;
  }
}
