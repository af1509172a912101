import { isRecorded, recordSpan, runFields, spanIdOf, traceIdOf, type EndedSpan, type Logger } from '@aloft/telemetry';
import type { RunIdentity } from '../events/run-identity.js';
import type { PropellerMetrics } from '../metrics.js';
import { toMs } from '../runs/clock.js';
import { attemptTrace, nodeTrace, originTrace } from './run-trace.js';
import type { Ended } from './run-times.js';

const scope = 'aloft.propeller';

/** Counts what is over. */
export function countEnds(
  metrics: PropellerMetrics,
  run: RunIdentity,
  ended: readonly Ended[],
  committedAt: number,
): void {
  const project = metrics.project(run.id.project);
  for (const end of ended) {
    const outcome = end.phase.toLowerCase();
    if (end.kind === 'attempt') metrics.attempts.inc({ project, outcome });
    else if (end.kind === 'run') {
      metrics.runs.inc({ project, outcome });
      metrics.runTime.observe({ project, outcome }, seconds(startOf(run, end), committedAt));
    } else if (end.task) metrics.stepTime.observe({ project, outcome }, seconds(end.since, committedAt));
  }
}

/** A line each at `debug`; of a run, at `info`. */
export function logEnds(logger: Logger, run: RunIdentity, ended: readonly Ended[]): void {
  if (!logger.isLevelEnabled('info')) return;
  const trace = { trace_id: traceIdOf(run.trace), span_id: spanIdOf(run.trace) };
  for (const end of ended) {
    const { phase, code } = end;
    const fields = { ...trace, ...runFields(run.id, run.uid), phase, ...(code ? { code } : {}) };
    if (end.kind === 'run') logger.info(fields, 'run ended');
    else if (end.kind === 'node') logger.debug({ ...fields, node: end.node }, 'node ended');
    else logger.debug({ ...fields, node: end.node, attempt: end.attempt }, 'attempt ended');
  }
}

/**
 * Tells the spans of what is over. `committedAt`: when it became durable; told again after a restart, with the times of the log, it is
 * the same spans.
 */
export function traceEnds(run: RunIdentity, ended: readonly Ended[], committedAt?: number): void {
  if (!isRecorded(run.trace)) return;
  const of = {
    'aloft.project': run.id.project,
    'aloft.domain': run.id.domain,
    'aloft.execution': run.id.name,
    'aloft.run': run.uid,
  };
  for (const end of ended) {
    const common = { scope, end: committedAt ?? end.at, failure: failureOf(end) };
    const attributes = { ...of, 'aloft.phase': end.phase };
    if (end.kind === 'run') {
      const parent = originTrace(run);
      recordSpan({ ...common, name: 'run', trace: run.trace, parent, start: startOf(run, end), attributes });
    } else if (end.kind === 'node') {
      recordSpan({
        ...common,
        name: `node ${end.node}`,
        trace: nodeTrace(run, end.node),
        parent: end.parent ? nodeTrace(run, end.parent) : run.trace,
        start: end.since,
        attributes: { ...attributes, 'aloft.node': end.node },
      });
    } else {
      for (const span of attemptSpans(run, end, common.end)) {
        const step = { 'aloft.node': end.node, 'aloft.attempt': end.attempt, 'aloft.task_type': end.taskType };
        recordSpan({ ...common, ...span, attributes: { ...attributes, ...step } });
      }
    }
  }
}

type Attempt = Extract<Ended, { kind: 'attempt' }>;

/** The attempt and, where it came so far, its parts, one behind the other: clocks of hosts are not ours. */
function attemptSpans(
  run: RunIdentity,
  end: Attempt,
  until: number,
): Pick<EndedSpan, 'name' | 'trace' | 'parent' | 'start' | 'end'>[] {
  const trace = attemptTrace(run, end.node, end.attempt);
  const spans = [
    { name: `attempt ${end.attempt}`, trace, parent: nodeTrace(run, end.node), start: end.queued, end: until },
  ];
  let from = end.queued;
  const part = (name: string, to: number | undefined) => {
    if (to === undefined) return;
    const ends = Math.min(Math.max(from, to), until);
    const own = nodeTrace(run, `${end.node}\n${end.attempt}\n${name}`);
    spans.push({ name: `attempt.${name}`, trace: own, parent: trace, start: from, end: ends });
    from = ends;
  };
  part('queue', end.taken ?? end.running ?? end.done);
  if (end.taken !== undefined) part('launch', end.running ?? end.done);
  if (end.running !== undefined) part('run', end.done);
  if (end.done !== undefined) part('commit', until);
  return spans;
}

function startOf(run: RunIdentity, end: Ended): number {
  return run.start.createdAt ? toMs(run.start.createdAt) : end.at;
}

function failureOf({ phase, code }: Ended): string | undefined {
  return phase === 'SUCCEEDED' || phase === 'RECOVERED' ? undefined : (code ?? phase);
}

const seconds = (from: number, to: number): number => Math.max(0, to - from) / 1000;
