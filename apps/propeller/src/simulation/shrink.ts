import { simulate } from './world.js';

/**
 * How few runs and faults a failing seed needs to fail still, as the options of the command that shows it. What is left out moves the
 * rest about, so each of the smaller worlds is tried, not derived.
 */
export async function smaller(seed: number): Promise<string> {
  const whole = await simulate({ seed });
  for (let size = 0; size <= whole.faults + 3; size += 1) {
    for (let maxFaults = Math.min(size, whole.faults); maxFaults >= 0; maxFaults -= 1) {
      const maxRuns = 1 + size - maxFaults;
      if (maxRuns > 3) break;
      const { problems } = await simulate({ seed, maxFaults, maxRuns });
      if (problems.length > 0) return `--seed ${seed} --faults ${maxFaults} --runs ${maxRuns}`;
    }
  }
  return `--seed ${seed}`;
}
