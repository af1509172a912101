import type { BlobStore } from '@aloft/blob';
import type { LaunchTask, TaskOutcome } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { PhaseReport } from '../contract.js';

/**
 * The end of an attempt that failed, or was ended (by a time limit, say), with where its checkpoint lies if it saved one: the next
 * attempt reads it there (C-109). Only tasks that were told the place can have saved anything, so that others cost no look into storage;
 * storage that cannot be read throws.
 */
export async function withCheckpoint(launch: LaunchTask, blob: BlobStore, report: PhaseReport): Promise<PhaseReport> {
  if (report.phase === TaskExecution_Phase.SUCCEEDED || !mayCheckpoint(launch)) return report;
  const prefix = `${launch.checkpointPrefix.replace(/\/+$/, '')}/`;
  for await (const _ of blob.list(prefix, { limit: 1 }))
    return { ...report, outcome: { ...(report.outcome ?? nothing), checkpointUri: launch.checkpointPrefix } };
  return report;
}

const nothing: TaskOutcome = { result: undefined, deckUri: '', checkpointUri: '' };

function mayCheckpoint({ checkpointPrefix, template }: LaunchTask): boolean {
  if (checkpointPrefix === '' || template?.target?.$case !== 'container') return false;
  const { command, args, env } = template.target.value;
  return [...command, ...args, ...env.map(({ value }) => value)].some((text) => text.includes(checkpointPrefix));
}
