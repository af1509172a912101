import type { Mark } from '../evidence/evidence.js';
import { during, type Window } from './windows.js';

/** One start of an attempt, with its end if it wrote one. */
export interface Start {
  mark: Mark;
  end?: Mark;
  /** Latest moment at which its process is known to have lived. */
  aliveUntil: number;
}

/** A launch may be on its way before its process marks its start, a report after its end, ms. */
const launchMs = 1_000;
const reportMs = 3_000;

/** Starts of one step in order of time, each with its own end. */
export function startsOf(marks: readonly Mark[], lastAlive: ReadonlyMap<string, number>): Start[] {
  const starts = marks
    .filter(({ what }) => what === 'start')
    .sort((a, b) => a.at - b.at)
    .map((mark): Start => ({ mark, aliveUntil: Math.max(mark.at, lastAlive.get(mark.process) ?? 0) }));
  for (const mark of marks) {
    if (mark.what !== 'end') continue;
    // A warm process runs one attempt: process and attempt name the start.
    const start = starts.find((each) => each.mark.process === mark.process && each.mark.attemptId === mark.attemptId);
    if (!start) continue;
    start.end = mark;
    start.aliveUntil = mark.at;
  }
  return starts;
}

/** Starts that nothing explains: each beyond the plan needs a fault of its own that hit the one before it in flight. */
export function unexplained(
  starts: readonly Start[],
  planned: number,
  windows: readonly Window[],
): { start: Start; before: Start; why: string }[] {
  const found: { start: Start; before: Start; why: string }[] = [];
  const used = new Set<Window>();
  let failures = planned - 1;
  for (let i = 1; i < starts.length; i++) {
    const [before, start] = [starts[i - 1] as Start, starts[i] as Start];
    if (before.end?.outcome === 'failed' && failures > 0) {
      failures--;
      continue;
    }
    const inFlightUntil = before.end ? Math.min(start.mark.at, before.end.at + reportMs) : start.mark.at;
    const hits = during(windows, before.mark.at - launchMs, inFlightUntil);
    const free = hits.find((window) => !used.has(window));
    if (free) used.add(free);
    else
      found.push({
        start,
        before,
        why: hits.length === 0 ? 'no fault while the one before was in flight' : 'more starts than faults',
      });
  }
  return found;
}
