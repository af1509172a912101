import type { Bus } from '@aloft/bus';
import type { Database } from '@aloft/database';
import { invalidArgument } from '@aloft/errors';
import type {
  Signal,
  SignalGetOrCreateRequest,
  SignalList,
  SignalListRequest,
  SignalSetRequest,
} from '@aloft/idl/flyteidl/admin/signal';
import type { SignalIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { checkLiteral } from '@aloft/literals';
import { executionCommand } from '../executions/commands.js';
import { knownExecution } from '../executions/execution-lookup.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import { describeKey, requirePart, type NameKey } from '../registry/identifiers.js';
import type { SignalRow, SignalsRepository } from './signals.repository.js';

/** Values for gates (A-110…A-112). */
export class SignalsService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly signals: SignalsRepository,
    private readonly bus: Bus,
  ) {}

  async getOrCreate(request: SignalGetOrCreateRequest): Promise<Signal> {
    const { signalId, execution } = await this.known(request.id);
    if (!request.type?.type) throw invalidArgument('type: missing; a signal has a type');
    const type = Buffer.from(LiteralType.encode(request.type).finish());
    await this.signals.create(this.database, execution.row.id, signalId, '', type);
    const row = await this.signals.find(this.database, execution.row.id, signalId);
    return toSignal(execution.key, row ?? { signalId, type, value: null, revision: 0n });
  }

  /**
   * A-111, K-26: the gate must have been reached and the value must fit its type. Row and command in one transaction; the
   * revision tells the engine which of several came first.
   */
  async set(request: SignalSetRequest, principal: string): Promise<void> {
    const { signalId, execution } = await this.known(request.id);
    const { value } = request;
    if (!value) throw invalidArgument('value: missing; give the value of the signal');
    const { key, row } = execution;
    await this.database.transaction(async (tx) => {
      const signal = await this.signals.find(tx, row.id, signalId, true);
      if (!signal)
        throw invalidArgument(
          `id.signal_id: execution ${describeKey(key)} waits for no signal ${JSON.stringify(signalId)} (yet); see ListSignals`,
        );
      checkLiteral('value', value, LiteralType.decode(signal.type));
      const revision = signal.revision + 1n;
      await this.signals.set(tx, row.id, signalId, Buffer.from(Literal.encode(value).finish()), revision);
      // A foreign engine asks for it by GetOrCreateSignal.
      if (row.engine === 'EXTERNAL') return;
      await this.bus.publish(tx, [
        executionCommand(`signal-${row.uid}-${signalId}-${revision}`, key, row.uid, principal, {
          $case: 'signal',
          value: { signalId, value, revision, principal },
        }),
      ]);
    });
  }

  async list(request: SignalListRequest): Promise<SignalList> {
    const { key, row } = await knownExecution(
      this.database,
      this.executions,
      request.workflowExecutionId,
      'workflow_execution_id',
    );
    const { rows, token } = await this.signals.list(this.database, row.id, request);
    return { signals: rows.map((signal) => toSignal(key, signal)), token };
  }

  private async known(id: SignalIdentifier | undefined) {
    if (!id) throw invalidArgument('id: missing; name the signal');
    requirePart(id.signalId, 'id.signal_id');
    const execution = await knownExecution(this.database, this.executions, id.executionId, 'id.execution_id');
    return { signalId: id.signalId, execution };
  }
}

function toSignal(executionId: NameKey, row: SignalRow): Signal {
  return {
    id: { signalId: row.signalId, executionId },
    type: LiteralType.decode(row.type),
    value: row.value ? Literal.decode(row.value) : undefined,
  };
}
