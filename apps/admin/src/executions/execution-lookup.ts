import type { Database } from '@aloft/database';
import { failedPrecondition, notFound } from '@aloft/errors';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { describeKey, requireExecutionId, type NameKey } from '../registry/identifiers.js';
import type { ExecutionRow, ExecutionsRepository } from './executions.repository.js';

/** An execution that a call names: its key and the row's id, under which its nodes and tasks lie. */
export interface KnownExecution {
  key: NameKey;
  row: ExecutionRow;
}

/** INVALID_ARGUMENT for an incomplete id, NOT_FOUND for an unknown one. */
export async function knownExecution(
  database: Database,
  executions: ExecutionsRepository,
  id: WorkflowExecutionIdentifier | undefined,
  where: string,
): Promise<KnownExecution> {
  const key = requireExecutionId(id, where);
  const row = await executions.find(database, key);
  if (!row) throw notFound(`${where}: there is no execution ${describeKey(key)}`);
  return { key, row };
}

/** FAILED_PRECONDITION for a run of an external engine, of which this platform has nothing but what its events told. `why`: for the caller. */
export function requireOwnEngine(
  { key, row }: Pick<KnownExecution, 'key'> & { row: { engine: string } },
  why: string,
): void {
  if (row.engine === 'EXTERNAL')
    throw failedPrecondition(`execution ${describeKey(key)} is run by an external engine: ${why}`);
}

/** Why there is no history to read, replay or explain: {@link requireOwnEngine}. */
export const noLogHere =
  'there is no log of it here, only what its events told (its nodes and attempts); ask that engine for more';
