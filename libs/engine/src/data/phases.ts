import type { TaskReport } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';

const P = TaskExecution_Phase;

/** Phases in which an attempt hasn't begun, in which it runs, and in which it is over. */
export function rankOf(phase: TaskExecution_Phase): number {
  switch (phase) {
    case P.UNDEFINED:
    case P.UNRECOGNIZED:
      return 0;
    case P.QUEUED:
    case P.WAITING_FOR_RESOURCES:
    case P.INITIALIZING:
      return 1;
    case P.RUNNING:
      return 2;
    default:
      return 3;
  }
}

export function saysOver(report: TaskReport | undefined): boolean {
  return report !== undefined && rankOf(report.phase) === 3;
}

/** Whether a report says something new: hosts repeat the last one until it is known to be committed. */
export function isNews(known: { phase: TaskExecution_Phase; version: number }, report: TaskReport): boolean {
  const rank = rankOf(report.phase);
  if (rank === 0) return false;
  if (rank !== rankOf(known.phase)) return rank > rankOf(known.phase);
  return report.phase !== known.phase || report.phaseVersion > known.version;
}
