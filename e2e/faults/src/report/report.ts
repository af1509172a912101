import Table from 'cli-table3';
import type { Verdict } from '../check/check.js';
import type { Evidence } from '../evidence/evidence.js';
import { recoveryRows, recoveryTimes, type RecoveryRow, type RecoveryTime } from './recovery-times.js';

/** One round, for machines. */
export interface RoundReport {
  seed: number;
  shape: string;
  faults: number;
  runs: number;
  steps: number;
  starts: number;
  /** Beyond the plan, each explained by a fault that hit the attempt in flight. */
  extraStarts: number;
  seconds: number;
  /** What the measure of recovery takes when nothing is wrong. */
  baselineMs: number;
  violations: Verdict['violations'];
  recovery: RecoveryRow[];
  /** Of each fault, in order. */
  times: RecoveryTime[];
}

export function reportOf(evidence: Evidence, verdict: Verdict, seconds: number): RoundReport {
  const times = recoveryTimes(evidence.faults);
  return {
    seed: evidence.seed,
    shape: evidence.shape,
    faults: evidence.faults.length,
    runs: evidence.runs.length,
    steps: verdict.steps,
    starts: verdict.starts,
    extraStarts: verdict.extraStarts,
    seconds: Math.round(seconds),
    baselineMs: evidence.baselineMs,
    violations: verdict.violations,
    recovery: recoveryRows(times),
    times,
  };
}

/** The same for people. */
export function render(report: RoundReport): string {
  const table = new Table({
    head: ['fault', 'times', 'alone', 'median', 'p90', 'worst', 'worst, with others'],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right'],
  });
  const seconds = (ms: number | undefined) => (ms === undefined ? '' : `${(ms / 1000).toFixed(2)} s`);
  for (const row of report.recovery)
    table.push([
      row.kind,
      row.faults,
      row.alone,
      seconds(row.medianMs),
      seconds(row.p90Ms),
      seconds(row.worstMs),
      seconds(row.worstDisturbedMs),
    ]);
  const lines = [
    'Time until new work was done on every partition, from a kill or stop, or from the end of any other fault ' +
      `(without a fault: ${seconds(report.baselineMs)}):`,
    table.toString(),
    `${report.shape}, seed ${report.seed}: ${report.faults} faults in ${report.seconds} s, ${report.runs} runs, ${report.steps} steps, ` +
      `${report.starts} starts, ${report.extraStarts} of them once more for an attempt that a fault hit in flight`,
    report.violations.length === 0
      ? 'no violation: nothing stuck, nothing wrong, nothing twice'
      : `${report.violations.length} violations:`,
    ...report.violations.map(({ rule, run, text }) => `  ${rule}${run ? `, ${run}` : ''}: ${text}`),
  ];
  return lines.join('\n');
}
