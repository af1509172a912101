import type { Evidence, Mark, RunRecord } from '../evidence/evidence.js';
import { checkCatalog } from './catalog.js';
import { checkReadModel } from './read-model.js';
import { startsOf, unexplained, type Start } from './starts.js';
import { checkStream } from './stream.js';
import { describe, stepKey, type Violation } from './violation.js';
import { windowsOf, type Window } from './windows.js';

export interface Verdict {
  violations: Violation[];
  /** Starts beyond the plan that a fault explains. */
  extraStarts: number;
  steps: number;
  starts: number;
}

/** Everything that a run of faults must not have done. Pure: judges what was written down. */
export function check(evidence: Evidence): Verdict {
  const windows = windowsOf(evidence.faults);
  const lastAlive = new Map(evidence.sightings.map(({ process, lastAliveAt }) => [process, lastAliveAt]));
  const marks = new Map<string, Mark[]>();
  for (const mark of evidence.marks) marks.set(mark.run, [...(marks.get(mark.run) ?? []), mark]);
  const verdict: Verdict = { violations: [], extraStarts: 0, steps: 0, starts: 0 };
  const { violations } = verdict;
  for (const text of evidence.incidents) violations.push({ rule: 'incident', text });
  const cached = new Map<string, Start[]>();
  for (const run of evidence.runs) {
    const steps = new Map<string, Start[]>();
    for (const [key, own] of groupBy(marks.get(run.name) ?? [], stepKey)) steps.set(key, startsOf(own, lastAlive));
    violations.push(...checkEnd(run, evidence), ...checkStream(run));
    if (run.endedAt === undefined || run.phase === undefined) continue;
    checkSteps(run, steps, windows, evidence, verdict);
    violations.push(...checkDurable(run, steps), ...checkReadModel(run, steps));
    for (const { step, index, cacheKey } of run.expect.steps)
      if (cacheKey !== undefined)
        cached.set(cacheKey, [...(cached.get(cacheKey) ?? []), ...(steps.get(stepKey({ step, index })) ?? [])]);
  }
  violations.push(...checkCatalog(evidence, cached, windows), ...checkLeftBehind(evidence, lastAlive));
  return verdict;
}

function checkEnd(run: RunRecord, evidence: Evidence): Violation[] {
  const found: Violation[] = run.clientErrors.map((text) => ({
    rule: 'client',
    run: run.name,
    text: `a call failed in a way that a stock client would not try again: ${text}`,
  }));
  const wrong = (text: string) => found.push({ rule: 'wrong result', run: run.name, text });
  if (run.endedAt === undefined || run.phase === undefined) {
    found.push({
      rule: 'stuck',
      run: run.name,
      text:
        `it was launched ${((evidence.endedAt - run.launchedAt) / 1000).toFixed(1)} s before the end and ` +
        (run.endedAt === undefined
          ? `did not end within ${evidence.settleMs / 1000} s of the last fault`
          : 'its end was told by Watch, but could not be read'),
    });
    return found;
  }
  const { expect } = run;
  if (run.phase !== expect.phase)
    wrong(`it ended ${run.phase}${run.error ? ` (${run.error})` : ''}; it must end ${expect.phase}`);
  else if (expect.outputs && JSON.stringify(run.outputs) !== JSON.stringify(expect.outputs))
    wrong(`its outputs are ${JSON.stringify(run.outputs)}; they must be ${JSON.stringify(expect.outputs)}`);
  else if (expect.error && !run.error?.includes(expect.error))
    wrong(`its error is ${JSON.stringify(run.error)}; it must say ${JSON.stringify(expect.error)}`);
  return found;
}

function checkSteps(
  run: RunRecord,
  steps: ReadonlyMap<string, Start[]>,
  windows: readonly Window[],
  { fencingMs }: Evidence,
  verdict: Verdict,
): void {
  const report = (rule: Violation['rule'], text: string) => verdict.violations.push({ rule, run: run.name, text });
  const expected = new Map(run.expect.steps.map((step) => [stepKey(step), step]));
  for (const key of steps.keys())
    if (!expected.has(key)) report('ran unasked', `step ${key} ran, which this run must not reach`);
  for (const [key, { starts: planned, optional }] of expected) {
    const starts = steps.get(key) ?? [];
    verdict.steps++;
    verdict.starts += starts.length;
    if (starts.length === 0) {
      if (!optional && run.phase === run.expect.phase) report('never ran', `step ${key} never started`);
      continue;
    }
    const wrong = unexplained(starts, planned, windows);
    verdict.extraStarts += Math.max(0, starts.length - planned - wrong.length);
    for (const { start, before, why } of wrong)
      report('extra start', `step ${key} started once more, ${why}: ${describe(before)}, then ${describe(start)}`);
    for (let i = 1; i < starts.length; i++) {
      const [before, start] = [starts[i - 1] as Start, starts[i] as Start];
      if (before.aliveUntil > start.mark.at + fencingMs)
        report(
          'two at once',
          `step ${key}: ${describe(before)} still ran ${before.aliveUntil - start.mark.at} ms after ${describe(start)}` +
            ` (allowed: ${fencingMs} ms)`,
        );
    }
    if (run.phase === 'SUCCEEDED' && !starts.some(({ end }) => end?.outcome === 'ok'))
      report('never ran', `the run succeeded, but step ${key} never came to a good end`);
  }
}

/** No attempt may begin later than the moment at which the API showed that attempt, its node or its run as over. */
function checkDurable(run: RunRecord, steps: ReadonlyMap<string, Start[]>): Violation[] {
  const found: Violation[] = [];
  const stepOf = new Map(run.nodes.map(({ id, step }) => [id, step]));
  const durable = run.observations.filter(({ terminal }) => terminal);
  for (const starts of steps.values())
    for (const { mark } of starts) {
      const over = durable.find(
        ({ of, node, attempt, at }) =>
          at < mark.claimedAt &&
          (of === 'run' ||
            (stepOf.get(node) === mark.step &&
              (of === 'node' || (mark.index === undefined && attempt === mark.attempt)))),
      );
      if (over)
        found.push({
          rule: 'started after durable',
          run: run.name,
          text:
            `step ${stepKey(mark)}, attempt ${mark.attempt} began ${mark.claimedAt - over.at} ms after the API had told that ` +
            `${over.of} ${over.node}${over.attempt === undefined ? '' : ` attempt ${over.attempt}`} is ${over.phase}`,
        });
    }
  return found;
}

function checkLeftBehind({ marks, endedAt }: Evidence, lastAlive: ReadonlyMap<string, number>): Violation[] {
  const ended = new Set(marks.filter(({ what }) => what === 'end').map(({ process }) => process));
  return marks
    .filter(({ what, process }) => what === 'start' && !ended.has(process))
    .filter(({ process }) => (lastAlive.get(process) ?? 0) >= endedAt)
    .map((mark) => ({
      rule: 'left behind',
      run: mark.run,
      text: `the process of step ${stepKey(mark)}, attempt ${mark.attempt} (${mark.process}) still runs at the end`,
    }));
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = key(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}
