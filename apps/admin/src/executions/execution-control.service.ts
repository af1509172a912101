import { randomUUID } from 'node:crypto';
import type { Bus } from '@aloft/bus';
import type { Database, Transaction } from '@aloft/database';
import { failedPrecondition, invalidArgument, notFound } from '@aloft/errors';
import {
  ExecutionClosure,
  ExecutionState,
  type ExecutionTerminateRequest,
  type ExecutionUpdateRequest,
} from '@aloft/idl/flyteidl/admin/execution';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { executionPhaseName, isTerminalExecution } from '../projection/phases.js';
import { alreadyTerminalDetail } from '../registry/error-details.js';
import { describeKey, requireExecutionId, type NameKey } from '../registry/identifiers.js';
import { timestampOf } from '../time.js';
import { executionCommand } from './commands.js';
import type { ExecutionRow, ExecutionsRepository } from './executions.repository.js';
import { cut } from './execution-answers.js';

const maxCauseBytes = 4096;

/** Ending and archiving runs. */
export class ExecutionControlService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly bus: Bus,
  ) {}

  /**
   * ABORTING with cause and principal at once, and the command in the same transaction; a repeat changes nothing. A foreign engine sees the
   * phase, and ends the run by an event.
   */
  async terminate(request: ExecutionTerminateRequest, principal: string): Promise<void> {
    const key = requireExecutionId(request.id);
    const cause = cut(request.cause, maxCauseBytes);
    await this.database.transaction(async (tx) => {
      const row = await this.locked(tx, key);
      const closure = ExecutionClosure.decode(row.closure);
      if (isTerminalExecution(closure.phase)) {
        const phase = executionPhaseName(closure.phase);
        throw failedPrecondition(`execution ${describeKey(key)} is ${phase} already and can't be terminated`, {
          details: [alreadyTerminalDetail(phase)],
        });
      }
      if (closure.phase === Phase.ABORTING) return;
      closure.phase = Phase.ABORTING;
      closure.updatedAt = timestampOf(new Date());
      closure.outputResult = { $case: 'abortMetadata', value: { cause, principal } };
      await this.executions.markAborting(tx, row.id, encode(closure), cause);
      if (row.engine === 'EXTERNAL') return;
      await this.bus.publish(tx, [
        executionCommand(`abort-${row.uid}-${randomUUID()}`, key, row.uid, principal, {
          $case: 'abort',
          value: { cause, principal },
        }),
      ]);
    });
  }

  /** Only the state: ACTIVE or ARCHIVED. */
  async update(request: ExecutionUpdateRequest, principal: string): Promise<void> {
    const key = requireExecutionId(request.id);
    const { state } = request;
    if (state !== ExecutionState.EXECUTION_ACTIVE && state !== ExecutionState.EXECUTION_ARCHIVED)
      throw invalidArgument(`state: ${state} is unknown; use EXECUTION_ACTIVE or EXECUTION_ARCHIVED`);
    await this.database.transaction(async (tx) => {
      const row = await this.locked(tx, key);
      const closure = ExecutionClosure.decode(row.closure);
      closure.stateChangeDetails = { state, occurredAt: timestampOf(new Date()), principal };
      await this.executions.setState(tx, row.id, state, encode(closure));
    });
  }

  private async locked(tx: Transaction, key: NameKey): Promise<ExecutionRow> {
    const row = await this.executions.lock(tx, key);
    if (!row) throw notFound(`there is no execution ${describeKey(key)}`);
    return row;
  }
}

function encode(closure: ExecutionClosure): Buffer {
  return Buffer.from(ExecutionClosure.encode(closure).finish());
}
