import type { FaultRecord } from '../evidence/evidence.js';
import { recoveryOf } from '../faults/recovery.js';

/** Milliseconds until new work was done, over the faults of a kind. */
export interface RecoveryRow {
  kind: string;
  faults: number;
  /** Those that no other fault ran into. */
  alone: number;
  medianMs?: number;
  p90Ms?: number;
  worstMs?: number;
  /** The worst of those that others ran into. */
  worstDisturbedMs?: number;
}

/** One fault's time, as it is kept in reports: rows of several rounds can be made from them. */
export interface RecoveryTime {
  kind: string;
  ms?: number;
  disturbed: boolean;
}

export function recoveryTimes(faults: readonly FaultRecord[]): RecoveryTime[] {
  return faults.map((fault) => ({ kind: fault.kind, ms: recoveryOf(fault), disturbed: fault.disturbed ?? false }));
}

/** A row for each kind, and one for all. */
export function recoveryRows(times: readonly RecoveryTime[]): RecoveryRow[] {
  const kinds = [...new Set(times.map(({ kind }) => kind))].sort();
  const rows = kinds.map((kind) =>
    rowOf(
      kind,
      times.filter((time) => time.kind === kind),
    ),
  );
  return [...rows, rowOf('all', times)];
}

function rowOf(kind: string, times: readonly RecoveryTime[]): RecoveryRow {
  const sorted = (some: readonly RecoveryTime[]) => some.flatMap(({ ms }) => ms ?? []).sort((a, b) => a - b);
  const alone = sorted(times.filter(({ disturbed }) => !disturbed));
  const disturbed = sorted(times.filter((time) => time.disturbed));
  return {
    kind,
    faults: times.length,
    alone: alone.length,
    medianMs: quantile(alone, 0.5),
    p90Ms: quantile(alone, 0.9),
    worstMs: alone.at(-1),
    worstDisturbedMs: disturbed.at(-1),
  };
}

function quantile(sorted: readonly number[], q: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}
