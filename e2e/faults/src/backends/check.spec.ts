import { type BackendViolation, checkBackend } from './check.js';
import type { AttemptRecord, BackendEvidence, RunRecord } from './evidence.js';
import { kubernetesVerdicts } from './fates.js';
import { expectationOf, type RunPlan } from './run-plan.js';

const planOf = (more: Partial<RunPlan> = {}): RunPlan => ({
  name: 'r1',
  retries: 1,
  interruptible: false,
  items: [['out-of-memory']],
  isArray: false,
  runMs: 10,
  ...more,
});

const attemptOf = (retry: number, more: Partial<AttemptRecord> = {}): AttemptRecord => ({
  run: 'r1',
  id: `r1-n0-${retry}.${retry + 1}`,
  item: 0,
  retry,
  fate: 'ok',
  interruptible: false,
  launchedAt: 1,
  ends: [{ at: 2, phase: 'SUCCEEDED' }],
  ...more,
});

const oom = { at: 2, phase: 'RETRYABLE_FAILED', kind: 'USER', code: 'OOMKilled' };

const runOf = (more: Partial<RunRecord> = {}): RunRecord => ({
  plan: planOf(),
  launchedAt: 0,
  endedAt: 9,
  phase: 'SUCCEEDED',
  attempts: [attemptOf(0, { fate: 'out-of-memory', ends: [oom] }), attemptOf(1)],
  ...more,
});

const rules = (more: Partial<BackendEvidence>): BackendViolation['rule'][] => {
  const runs = more.runs ?? [runOf()];
  const jobs = runs.flatMap(({ attempts }) =>
    attempts.map(({ id }) => ({ attempt: id, id: `job of ${id}`, at: 1, spot: false })),
  );
  const evidence = {
    seed: 1,
    shape: 'kubernetes',
    holdsJobs: false,
    faults: [],
    runs,
    jobs,
    left: [],
    incidents: [],
    endedAt: 10,
    ...more,
  };
  return checkBackend(evidence, kubernetesVerdicts).map(({ rule }) => rule);
};

describe('the checker of backends', () => {
  it('has nothing to say of what went as planned', () => {
    expect(rules({})).toEqual([]);
  });

  const [first, second] = runOf().attempts as [AttemptRecord, AttemptRecord];
  const job = { attempt: first.id, id: 'a', at: 1, spot: false };

  it.each<[BackendViolation['rule'], string, Partial<BackendEvidence>]>([
    ['stuck', 'a run without an end', { runs: [runOf({ endedAt: undefined })] }],
    ['wrong end', 'a run that failed', { runs: [runOf({ phase: 'FAILED' })] }],
    ['wrong budget', 'an attempt too many', { runs: [runOf({ attempts: [first, second, attemptOf(2)] })] }],
    [
      'wrong report',
      'the user’s failure told as the system’s',
      { runs: [runOf({ attempts: [{ ...first, ends: [{ ...oom, kind: 'SYSTEM' }] }, second] })] },
    ],
    [
      'wrong report',
      'an abort that nobody asked for',
      { runs: [runOf({ attempts: [first, { ...second, ends: [{ at: 2, phase: 'ABORTED' }] }] })] },
    ],
    [
      'ended twice',
      'another end behind the first',
      { runs: [runOf({ attempts: [{ ...first, ends: [oom, { at: 3, phase: 'SUCCEEDED' }] }, second] })] },
    ],
    ['two jobs', 'a second job', { jobs: [job, { ...job, id: 'b' }, { ...job, attempt: second.id }] }],
    ['two jobs', 'a job of nobody', { jobs: [job, { ...job, attempt: second.id }, { ...job, attempt: 'x.1' }] }],
    ['never ran', 'an end without a job', { jobs: [job] }],
    [
      'wrong capacity',
      'spot, unasked',
      {
        jobs: [
          { ...job, spot: true },
          { ...job, attempt: second.id },
        ],
      },
    ],
    ['left behind', 'a pod', { left: ['the pod a'] }],
    ['incident', 'a death', { incidents: ['host-0 ended by itself'] }],
  ])('finds "%s": %s', (rule, _, evidence) => {
    expect(rules(evidence)).toEqual([rule]);
  });

  it('lets a pod be made again that was deleted before its host could write it down, and only then', () => {
    const lost = {
      ...first,
      fate: 'deleted' as const,
      ends: [{ at: 2, phase: 'RETRYABLE_FAILED', kind: 'SYSTEM', code: 'Interrupted' }],
    };
    const runs = [runOf({ plan: planOf({ items: [['deleted']] }), attempts: [lost, second] })];
    const jobs = [job, { ...job, id: 'b', at: 5_000 }, { ...job, attempt: second.id }];
    const fault = { n: 0, kind: 'kill recording', target: 'host-0', from: 0, to: 4_000 };
    expect(rules({ runs, jobs, faults: [fault] })).toEqual([]);
    expect(rules({ runs, jobs, faults: [{ ...fault, from: 3_000 }] })).toEqual(['two jobs']);
    // Held, it can't be gone unseen.
    expect(rules({ runs, jobs, faults: [fault], holdsJobs: true })).toEqual(['two jobs']);
    expect(rules({ runs, jobs: [...jobs, { ...job, id: 'c' }], faults: [fault] })).toEqual(['two jobs']);
  });

  it('lets the same end be told again, and an abort that was asked for', () => {
    const again = { ...first, ends: [oom, { ...oom, at: 7 }] };
    const aborted = { ...second, abortedAt: 2, ends: [{ at: 2, phase: 'ABORTED' }] };
    expect(
      rules({ runs: [runOf({ plan: planOf({ abortAfterMs: 2 }), phase: 'ABORTED', attempts: [again, aborted] })] }),
    ).toEqual([]);
  });
});

describe('budgets (C-30, C-31)', () => {
  it.each<[string, Partial<RunPlan>, string, number]>([
    ['failures of the user use up the user’s retries', { items: [['exit', 'exit', 'ok']] }, 'FAILED', 2],
    ['of the system three end it', { items: [['reclaimed', 'node-lost', 'evicted', 'ok']] }, 'FAILED', 3],
    ['neither uses the other’s', { items: [['reclaimed', 'exit', 'node-lost']] }, 'SUCCEEDED', 4],
    ['what is final ends it at once', { items: [['final']], retries: 2 }, 'FAILED', 1],
  ])('%s', (_, plan, phase, attempts) => {
    expect(expectationOf(planOf(plan), kubernetesVerdicts)).toMatchObject({ phase, attempts: [attempts] });
  });
});
