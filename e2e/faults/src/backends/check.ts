import type { AttemptRecord, BackendEvidence, BackendFault, EndRecord, JobRecord, RunRecord } from './evidence.js';
import type { Verdict, Verdicts } from './fates.js';
import { expectationOf } from './run-plan.js';

export interface BackendViolation {
  rule:
    | 'stuck'
    | 'wrong end'
    | 'wrong budget'
    | 'wrong report'
    | 'ended twice'
    | 'two jobs'
    | 'never ran'
    | 'wrong capacity'
    | 'left behind'
    | 'incident';
  run?: string;
  text: string;
}

/** What a round of faults must not have done to the work of a backend. Pure. */
export function checkBackend(evidence: BackendEvidence, verdicts: Verdicts): BackendViolation[] {
  const jobs = new Map<string, JobRecord[]>();
  for (const job of evidence.jobs) jobs.set(job.attempt, [...(jobs.get(job.attempt) ?? []), job]);
  const known = new Set(evidence.runs.flatMap(({ attempts }) => attempts.map(({ id }) => id)));
  return [
    ...evidence.incidents.map((text) => ({ rule: 'incident' as const, text })),
    ...evidence.left.map((text) => ({
      rule: 'left behind' as const,
      text: `${text} is there though nothing is to run`,
    })),
    ...[...jobs.keys()]
      .filter((id) => !known.has(id))
      .map((id) => ({ rule: 'two jobs' as const, text: `a job was made for ${id}, which nobody launched` })),
    ...evidence.runs.flatMap((run) => [
      ...checkRun(run, verdicts, evidence.endedAt),
      ...run.attempts.flatMap((attempt) => checkAttempt(run, attempt, jobs.get(attempt.id) ?? [], evidence, verdicts)),
    ]),
  ];
}

function checkRun(run: RunRecord, verdicts: Verdicts, endedAt: number): BackendViolation[] {
  const { name, abortAfterMs } = run.plan;
  const found: BackendViolation[] = [];
  const wrong = (rule: BackendViolation['rule'], text: string) => found.push({ rule, run: name, text });
  if (run.endedAt === undefined) {
    const open = run.attempts.filter(({ ends }) => ends.length === 0).map(({ id }) => id);
    wrong(
      'stuck',
      `it began ${seconds(endedAt - run.launchedAt)} before the end and is not over; open: ${open.join(', ')}`,
    );
    return found;
  }
  if (abortAfterMs !== undefined && run.phase === 'ABORTED') return found;
  const expected = expectationOf(run.plan, verdicts);
  if (run.phase !== expected.phase)
    wrong('wrong end', `it ended ${run.phase} (${run.code}); it must end ${expected.phase}`);
  else if (expected.codes && !expected.codes.includes(run.code?.replace(/^RetriesExhausted\|/, '') ?? ''))
    wrong('wrong end', `its error is ${run.code}; it must be ${expected.codes.join(' or ')}`);
  for (const [item, count] of (expected.attempts ?? []).entries()) {
    const made = run.attempts.filter((attempt) => attempt.item === item).length;
    if (made !== count)
      wrong(
        'wrong budget',
        `item ${item} had ${made} attempts; its budgets (retries: ${run.plan.retries}) give it ${count}`,
      );
  }
  return found;
}

function checkAttempt(
  { plan }: RunRecord,
  attempt: AttemptRecord,
  jobs: readonly JobRecord[],
  { faults, holdsJobs }: Pick<BackendEvidence, 'faults' | 'holdsJobs'>,
  verdicts: Verdicts,
): BackendViolation[] {
  const { id, fate, ends, abortedAt, interruptible } = attempt;
  const found: BackendViolation[] = [];
  const wrong = (rule: BackendViolation['rule'], text: string) =>
    found.push({ rule, run: plan.name, text: `${id} ${text}` });
  const [first] = ends;
  for (const end of ends.slice(1))
    if (first && textOf(end) !== textOf(first))
      wrong('ended twice', `was told to have ended ${textOf(first)}, then ${textOf(end)}`);
  const expected = verdicts[fate] as Verdict;
  const { otherCode } = expected;
  const right = [textOf(expected), ...(otherCode === undefined ? [] : [textOf({ ...expected, code: otherCode })])];
  if (first && !(abortedAt !== undefined && first.phase === 'ABORTED') && !right.includes(textOf(first)))
    wrong('wrong report', `(${fate}) ended ${textOf(first)} (${first.message}); it must end ${right.join(' or ')}`);
  if (jobs.length > 1 && (holdsJobs || !wasUnseen(attempt, jobs, faults)))
    wrong('two jobs', `(${fate}) had ${jobs.length}: ${jobs.map((job) => `${job.id} at ${job.at}`).join(', ')}`);
  if (first && abortedAt === undefined && jobs.length === 0) wrong('never ran', `ended ${textOf(first)} without a job`);
  for (const { spot } of jobs)
    if (spot !== interruptible)
      wrong(
        'wrong capacity',
        `ran on ${spot ? 'spot' : 'on-demand'} capacity; it is ${interruptible ? '' : 'not '}interruptible`,
      );
  return found;
}

/** Milliseconds in which a host that nothing befalls has written down what it made. */
const writtenMs = 1_000;

/**
 * The one second job that nobody can prevent without finalizers: the first was made, something outside deleted it, and a fault kept its host from
 * writing down that it had been there.
 */
function wasUnseen({ fate }: AttemptRecord, [first, ...others]: readonly JobRecord[], faults: readonly BackendFault[]) {
  if (!first || others.length > 1 || (fate !== 'deleted' && fate !== 'node-lost')) return false;
  return faults.some(
    ({ kind, from, to }) => !kind.startsWith('work') && from <= first.at + writtenMs && (to ?? Infinity) >= first.at,
  );
}

const textOf = ({ phase, kind, code }: Pick<EndRecord, 'phase' | 'kind' | 'code'>): string =>
  [phase, kind, code].filter((part) => part !== undefined).join(' ');

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
