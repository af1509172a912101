import type { Evidence } from '../evidence/evidence.js';
import { type Start, unexplained } from './starts.js';
import { describe, type Violation } from './violation.js';
import type { Window } from './windows.js';

/** A cached step is computed once a key, unless a fault hit it in flight; what runs get is what somebody made. */
export function checkCatalog(
  evidence: Evidence,
  cached: ReadonlyMap<string, Start[]>,
  windows: readonly Window[],
): Violation[] {
  const found: Violation[] = [];
  for (const [key, all] of cached) {
    const starts = [...all].sort((a, b) => a.mark.at - b.mark.at);
    for (const { before, start, why } of unexplained(starts, 1, windows))
      found.push({
        rule: 'catalog',
        run: start.mark.run,
        text: `key ${key} was computed again, ${why}: ${describe(before)} of ${before.mark.run}, then ${describe(start)}`,
      });
    const made = new Set(starts.flatMap(({ end }) => (end?.outcome === 'ok' && end.value ? [end.value] : [])));
    for (const run of evidence.runs) {
      if (run.phase !== 'SUCCEEDED' || !run.expect.steps.some(({ cacheKey }) => cacheKey === key)) continue;
      const value = run.outputs?.['made'];
      if (typeof value !== 'string' || !made.has(value))
        found.push({
          rule: 'catalog',
          run: run.name,
          text: `it got ${JSON.stringify(value)} for key ${key}, which nobody made (made: ${[...made].join(', ')})`,
        });
    }
  }
  return found;
}
