/** A small seeded generator (mulberry32): the same seed gives the same numbers on every machine. Values in [0, 1). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** `count` distinct indexes below `size`, in ascending order. */
export function sample(size: number, count: number, seed: number): Uint32Array {
  if (count >= size) return Uint32Array.from({ length: size }, (_, index) => index);
  const random = randomFrom(seed);
  const chosen = new Uint32Array(count);
  let taken = 0;
  // Selection sampling: each remaining index is taken with the chance that the remaining need gives it.
  for (let index = 0; taken < count; index++) if (random() * (size - index) < count - taken) chosen[taken++] = index;
  return chosen;
}
