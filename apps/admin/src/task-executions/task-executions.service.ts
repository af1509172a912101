import type { Database } from '@aloft/database';
import { invalidArgument, notFound } from '@aloft/errors';
import {
  TaskExecutionClosure,
  type TaskExecution,
  type TaskExecutionGetDataResponse,
  type TaskExecutionList,
  type TaskExecutionListRequest,
} from '@aloft/idl/flyteidl/admin/task_execution';
import { ResourceType, type TaskExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { flyteUrl } from '../data-proxy/flyte-urls.js';
import { flyteUrls, type LiteralReader } from '../data-proxy/literal-reader.js';
import { cut } from '../executions/execution-answers.js';
import { knownExecution } from '../executions/execution-lookup.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import { inputsOf, outputsOf } from '../node-executions/node-answers.js';
import { describeKey, requireIdentifier, type NameKey } from '../registry/identifiers.js';
import type { AdminConfig } from '../config.js';
import { toTaskExecution } from './task-answers.js';
import type { TaskExecutionRow, TaskExecutionsRepository } from './task-executions.repository.js';

/** Reading task executions. */
export class TaskExecutionsService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly tasks: TaskExecutionsRepository,
    private readonly literals: LiteralReader,
    private readonly config: AdminConfig,
  ) {}

  async get(id: TaskExecutionIdentifier | undefined): Promise<TaskExecution> {
    const { key, row } = await this.find(id);
    return toTaskExecution(key, row);
  }

  async list(request: TaskExecutionListRequest): Promise<TaskExecutionList> {
    const node = request.nodeExecutionId;
    if (!node || node.nodeId === '') throw invalidArgument('node_execution_id: missing; name the node execution');
    const execution = await knownExecution(
      this.database,
      this.executions,
      node.executionId,
      'node_execution_id.execution_id',
    );
    const { rows, token } = await this.tasks.list(
      this.database,
      execution.row.id,
      node.nodeId,
      request,
      this.config.limits.listMs,
    );
    const taskExecutions = rows.map((row) => {
      const task = toTaskExecution(execution.key, row);
      if (task.closure?.outputResult?.$case === 'error') {
        const error = task.closure.outputResult.value;
        const message = cut(error.message, this.config.limits.listedErrorLength);
        task.closure.outputResult = { $case: 'error', value: { ...error, message } };
      }
      return task;
    });
    return { taskExecutions, token };
  }

  async getData(id: TaskExecutionIdentifier | undefined): Promise<TaskExecutionGetDataResponse> {
    const { key, row } = await this.find(id);
    const { nodeId, retryAttempt } = row;
    const closure = TaskExecutionClosure.decode(row.closure);
    const [inputs, outputs] = await Promise.all([
      this.literals.answer(inputsOf(row), flyteUrl(key, nodeId, 'inputs', retryAttempt)),
      this.literals.answer(outputsOf(row, closure.outputResult), flyteUrl(key, nodeId, 'outputs', retryAttempt)),
    ]);
    return {
      inputs: inputs.blob,
      outputs: outputs.blob,
      fullInputs: inputs.full,
      fullOutputs: outputs.full,
      flyteUrls: flyteUrls(key, nodeId, false, retryAttempt),
    };
  }

  private async find(id: TaskExecutionIdentifier | undefined): Promise<{ key: NameKey; row: TaskExecutionRow }> {
    const task = requireIdentifier(id?.taskId, ResourceType.TASK, 'id.task_id');
    const node = id?.nodeExecutionId;
    if (!node || node.nodeId === '') throw invalidArgument('id.node_execution_id: missing; name the node execution');
    const execution = await knownExecution(
      this.database,
      this.executions,
      node.executionId,
      'id.node_execution_id.execution_id',
    );
    const attempt = id?.retryAttempt ?? 0;
    const row = await this.tasks.find(this.database, execution.row.id, node.nodeId, attempt, task);
    if (!row)
      throw notFound(
        `node ${node.nodeId} of ${describeKey(execution.key)} has no attempt ${attempt} of task ${describeKey(task)}`,
      );
    return { key: execution.key, row };
  }
}
