const usual = 100;
const most = 1_000;

/** How many a list has: 100 where nothing is asked for, 1,000 at most. */
export const listLimit = (asked: number): number => Math.min(asked || usual, most);
