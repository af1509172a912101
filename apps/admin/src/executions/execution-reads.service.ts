import type { Database } from '@aloft/database';
import { notFound } from '@aloft/errors';
import type { ResourceListRequest } from '@aloft/idl/flyteidl/admin/common';
import type { Execution, ExecutionList, WorkflowExecutionGetDataResponse } from '@aloft/idl/flyteidl/admin/execution';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { AdminConfig } from '../config.js';
import { flyteUrl } from '../data-proxy/flyte-urls.js';
import type { LiteralReader } from '../data-proxy/literal-reader.js';
import { describeKey, requireExecutionId, requireScope } from '../registry/identifiers.js';
import { endNode, startNode, toExecution } from './execution-answers.js';
import type { ExecutionReader } from './execution-reader.js';
import type { ExecutionsRepository } from './executions.repository.js';

/** Reading runs. */
export class ExecutionReadsService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly reader: ExecutionReader,
    private readonly literals: LiteralReader,
    private readonly config: AdminConfig,
  ) {}

  async get(id: WorkflowExecutionIdentifier | undefined): Promise<Execution> {
    const key = requireExecutionId(id);
    const row = await this.reader.find(key);
    if (!row) throw notFound(`there is no execution ${describeKey(key)}`);
    return toExecution(row);
  }

  async list(request: ResourceListRequest): Promise<ExecutionList> {
    const scope = requireScope(request.id);
    const { listMs, listedErrorLength } = this.config.limits;
    const { rows, token } = await this.executions.list(this.database, scope, request, listMs);
    return { executions: rows.map((row) => toExecution(row, listedErrorLength)), token };
  }

  async getData(id: WorkflowExecutionIdentifier | undefined): Promise<WorkflowExecutionGetDataResponse> {
    const key = requireExecutionId(id);
    const row = await this.executions.findData(this.database, key);
    if (!row) throw notFound(`there is no execution ${describeKey(key)}`);
    const [inputs, outputs] = await Promise.all([
      this.literals.answer({ bytes: row.inputs, uri: row.inputsUri }, flyteUrl(key, startNode, 'outputs')),
      this.literals.answer({ bytes: row.outputs, uri: row.outputsUri }, flyteUrl(key, endNode, 'outputs')),
    ]);
    return { inputs: inputs.blob, outputs: outputs.blob, fullInputs: inputs.full, fullOutputs: outputs.full };
  }
}
