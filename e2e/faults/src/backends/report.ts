import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { BackendViolation } from './check.js';
import type { BackendEvidence } from './evidence.js';

/** One round, for machines. */
export interface BackendReport {
  seed: number;
  shape: string;
  faults: number;
  runs: number;
  attempts: number;
  jobs: number;
  aborted: number;
  seconds: number;
  kinds: Record<string, number>;
  violations: BackendViolation[];
}

export function reportOf(evidence: BackendEvidence, violations: BackendViolation[], seconds: number): BackendReport {
  const { seed, shape, faults, runs, jobs } = evidence;
  const kinds: Record<string, number> = {};
  for (const { kind } of faults) kinds[kind] = (kinds[kind] ?? 0) + 1;
  const attempts = runs.flatMap((run) => run.attempts);
  return {
    seed,
    shape,
    faults: faults.length,
    runs: runs.length,
    attempts: attempts.length,
    jobs: jobs.length,
    aborted: attempts.filter(({ abortedAt }) => abortedAt !== undefined).length,
    seconds: Math.round(seconds),
    kinds,
    violations,
  };
}

/** The same for people. */
export function renderReport(report: BackendReport): string {
  const { shape, seed, faults, seconds, runs, attempts, jobs, aborted, violations, kinds } = report;
  return [
    `${shape}, seed ${seed}: ${faults} faults in ${seconds} s, ${runs} runs, ${attempts} attempts (${aborted} aborted), ${jobs} jobs`,
    `  ${Object.entries(kinds)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ')}`,
    violations.length === 0
      ? 'no violation: one job an attempt, none left, each end told as it was'
      : `${violations.length} violations:`,
    ...violations.map(({ rule, run, text }) => `  ${rule}${run ? `, ${run}` : ''}: ${text}`),
  ].join('\n');
}

/** What happened to the runs that went wrong, and to everything else meanwhile, in order of time; then the ends of the logs. */
export function timelineOf(
  evidence: BackendEvidence,
  violations: readonly BackendViolation[],
  logs: readonly string[],
): string {
  const bad = new Set(violations.flatMap(({ run }) => run ?? []));
  const lines: { at: number; text: string }[] = [];
  const add = (at: number | undefined, text: string) => at !== undefined && lines.push({ at, text });
  for (const { from, to, kind, target, n } of evidence.faults) {
    add(from, `fault ${n}: ${kind}, ${target}`);
    add(to, `fault ${n} is over`);
  }
  const attempts = new Set<string>();
  for (const run of evidence.runs.filter(({ plan }) => bad.has(plan.name))) {
    add(run.launchedAt, `run ${JSON.stringify(run.plan)}`);
    add(run.endedAt, `run ${run.plan.name} ended ${run.phase} ${run.code ?? ''}`);
    for (const attempt of run.attempts) {
      attempts.add(attempt.id);
      add(attempt.launchedAt, `${attempt.id} is launched (${attempt.fate})`);
      add(attempt.abortedAt, `${attempt.id} is to end`);
      for (const end of attempt.ends) add(end.at, `${attempt.id} ended ${JSON.stringify(end)}`);
    }
  }
  for (const job of evidence.jobs) if (attempts.has(job.attempt)) add(job.at, `${job.attempt} is the job ${job.id}`);
  lines.sort((a, b) => a.at - b.at);
  return [
    ...violations.map(({ rule, run, text }) => `${rule}${run ? `, ${run}` : ''}: ${text}`),
    '',
    ...lines.map(({ at, text }) => `${new Date(at).toISOString()} ${text}`),
    ...logs.flatMap((log) => [
      '',
      `--- ${basename(log)}`,
      existsSync(log) ? readFileSync(log, 'utf8').slice(-200_000) : '',
    ]),
  ].join('\n');
}

/** Several rounds as one. */
export function sumOf(rounds: readonly BackendReport[], seed: number): BackendReport {
  const sum = (of: (round: BackendReport) => number) => rounds.reduce((total, round) => total + of(round), 0);
  const kinds: Record<string, number> = {};
  for (const round of rounds)
    for (const [kind, count] of Object.entries(round.kinds)) kinds[kind] = (kinds[kind] ?? 0) + count;
  return {
    seed,
    shape: 'backends',
    faults: sum(({ faults }) => faults),
    runs: sum(({ runs }) => runs),
    attempts: sum(({ attempts }) => attempts),
    jobs: sum(({ jobs }) => jobs),
    aborted: sum(({ aborted }) => aborted),
    seconds: sum(({ seconds }) => seconds),
    kinds,
    violations: rounds.flatMap(({ violations, seed: own, shape }) =>
      violations.map((violation) => ({ ...violation, text: `${violation.text} (${shape}, --seed ${own})` })),
    ),
  };
}
