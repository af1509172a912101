import {
  nothingWritten,
  readOutcome,
  timestampOf,
  withCheckpoint,
  type Launch,
  type PhaseReport,
} from '@aloft/backend-kit';
import type { BlobStore } from '@aloft/blob';
import { WaitReason_Kind, type TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { diagnose, type FailedJob } from './diagnosis.js';

/** A job (or child of an array) that ended. */
export interface EndedJob extends FailedJob {
  startedAt?: number | undefined;
  stoppedAt?: number | undefined;
}

/** The last report on an attempt whose job ended: an error that it wrote before anything else, then how the job ended, then its outputs. */
export async function verdict(
  launch: Launch,
  { blob, output }: { blob: BlobStore; output?: () => Promise<string> },
  job: EndedJob,
): Promise<PhaseReport> {
  const written = await readOutcome(launch, blob);
  if (job.status === 'SUCCEEDED') return withCheckpoint(launch, blob, written ?? nothingWritten(launch));
  // What it wrote before it was killed, or failed on its way out, is the better explanation; half of its outputs is none.
  const error = written?.outcome.result?.$case === 'error' && written.outcome.result.value.errorUri !== '';
  return withCheckpoint(launch, blob, error ? written : diagnose(job, await output?.()));
}

/** Of a job that failed since one that it depends on did, or is not there. */
export const neverBegan = ({ statusReason }: Pick<EndedJob, 'statusReason'>): PhaseReport => ({
  phase: Phase.ABORTED,
  upstreamFailed: true,
  reason: `A job that it depends on has not succeeded, so AWS Batch did not begin it${statusReason ? `: ${statusReason}` : ''}.`,
});

/** What Batch knows of a job's use: what it was given, for as long as it ran. cpu is what was reserved, as it is billed. */
export function usageOf(
  { startedAt, stoppedAt }: EndedJob,
  given: { vcpu: number; memoryMiB: number } | undefined,
): TaskUsage {
  const end = stoppedAt ?? Date.now();
  const begin = startedAt !== undefined && startedAt > 0 ? Math.min(startedAt, end) : end;
  const seconds = (end - begin) / 1000;
  return {
    cpuSeconds: seconds * (given?.vcpu ?? 0),
    peakMemoryBytes: 0n,
    memoryByteSeconds: seconds * (given?.memoryMiB ?? 0) * 2 ** 20,
    itemSeconds: 0,
    reserved: true,
    startedAt: timestampOf(new Date(begin)),
    endedAt: timestampOf(new Date(end)),
  };
}

/** Milliseconds that an attempt may run (C-50). */
export const limitMsOf = ({ executionTimeout }: Launch): number | undefined => {
  if (!executionTimeout) return undefined;
  const ms = Number(executionTimeout.seconds) * 1000 + executionTimeout.nanos / 1e6;
  return ms > 0 ? ms : undefined;
};

/** How a job is that has not ended; all that comes before its container is one phase, which says what it waits for. */
export function underWay({ status, statusReason }: EndedJob): PhaseReport {
  switch (status) {
    case 'RUNNABLE':
      return {
        phase: Phase.INITIALIZING,
        waitsFor: WaitReason_Kind.CAPACITY,
        reason: `AWS Batch has no room for the job yet${statusReason ? `: ${statusReason}` : ''}.`,
      };
    case 'STARTING':
      return {
        phase: Phase.INITIALIZING,
        waitsFor: WaitReason_Kind.IMAGE,
        reason: 'AWS Batch starts the container.',
      };
    case 'RUNNING':
      return { phase: Phase.RUNNING };
    default:
      return { phase: Phase.INITIALIZING, reason: 'The job is in AWS Batch.' };
  }
}
