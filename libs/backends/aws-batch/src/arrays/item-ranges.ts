/** Indices of items, ascending, as `0-4999 6000 7000-7002`: short where they lie close, and read by a shell. */
export function writeRanges(indices: readonly number[]): string {
  const ranges: string[] = [];
  for (let at = 0; at < indices.length;) {
    const from = indices[at] as number;
    let to = from;
    while (indices[++at] === to + 1) to += 1;
    ranges.push(from === to ? `${from}` : `${from}-${to}`);
  }
  return ranges.join(' ');
}

/** The index of each child's item, in the order of the children. */
export function readRanges(ranges: string): number[] {
  const indices: number[] = [];
  for (const [from, to] of parsed(ranges)) for (let index = from; index <= to; index += 1) indices.push(index);
  return indices;
}

/** The child of an array job that has this item. */
export function childOfIndex(ranges: string, index: number): number | undefined {
  let before = 0;
  for (const [from, to] of parsed(ranges)) {
    if (index >= from && index <= to) return before + index - from;
    before += to - from + 1;
  }
  return undefined;
}

/** Beginnings of `indices`, ascending, none longer than `size` or written longer than `characters`. */
export function* splitRanges(indices: readonly number[], size: number, characters: number): Generator<number[]> {
  let part: number[] = [];
  let length = 0;
  for (const index of indices) {
    const last = part.at(-1);
    // A further index continues a range, which costs at most the range's new end, or begins one.
    const more = String(index).length + 1;
    const cost = last !== undefined && index === last + 1 ? 0 : 2 * more;
    if (part.length > 0 && (part.length >= size || length + cost > characters)) {
      yield part;
      part = [];
      length = 0;
    }
    length += part.length === 0 ? 2 * more : cost;
    part.push(index);
  }
  if (part.length > 0) yield part;
}

function* parsed(ranges: string): Generator<readonly [number, number]> {
  for (const range of ranges.split(' ')) {
    const [from, to = from] = range.split('-').map(Number);
    if (from !== undefined && to !== undefined && range !== '') yield [from, to];
  }
}
