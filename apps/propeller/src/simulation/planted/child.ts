import { register } from 'node:module';
import { mutations } from './mutations.js';

// node child.js <number of the mutation> <first seed> <seeds>: runs worlds with one fault planted until one is caught. A line of JSON.
const [index, first, count] = process.argv.slice(2).map(Number) as [number, number, number];
register(new URL('./loader.mjs', import.meta.url), { data: mutations[index] });
const { simulate } = await import('../world.js');

/** What a fault does to the process itself is caught like anything else. */
let crashed: string | undefined;
const noted = (error: unknown) => (crashed ??= error instanceof Error ? error.message : String(error));
process.on('unhandledRejection', noted);
process.on('uncaughtException', noted);

let told: { seeds: number; seed?: number; problem?: string } = { seeds: count };
for (let seed = first; seed < first + count; seed += 1) {
  let problem: string | undefined;
  try {
    problem = (await simulate({ seed })).problems[0];
  } catch (error) {
    noted(error);
  }
  problem ??= crashed;
  if (problem === undefined) continue;
  told = { seeds: seed - first + 1, seed, problem };
  break;
}
console.info(JSON.stringify(told));
process.exit(0);
