import type { Database } from '@aloft/database';
import { invalidArgument, notFound } from '@aloft/errors';
import {
  NodeExecutionClosure,
  type DynamicNodeWorkflowResponse,
  type DynamicWorkflowNodeMetadata,
  type NodeExecution,
  type NodeExecutionForTaskListRequest,
  type NodeExecutionGetDataResponse,
  type NodeExecutionList,
  type NodeExecutionListRequest,
} from '@aloft/idl/flyteidl/admin/node_execution';
import { Identifier, ResourceType, type NodeExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Logger } from '@aloft/telemetry';
import { flyteUrl } from '../data-proxy/flyte-urls.js';
import { flyteUrls, type LiteralReader } from '../data-proxy/literal-reader.js';
import { cut } from '../executions/execution-answers.js';
import { knownExecution } from '../executions/execution-lookup.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import { parentTaskKey } from '../projection/fold-node.js';
import type { TaskExecutionsRepository } from '../task-executions/task-executions.repository.js';
import { describeKey, requireIdentifier, requirePart, type NameKey } from '../registry/identifiers.js';
import type { Closures } from '../workflows/closures.js';
import type { AdminConfig } from '../config.js';
import { inputsOf, outputsOf, toNodeExecution } from './node-answers.js';
import type { NodeExecutionRow, NodeExecutionsRepository, NodeParent } from './node-executions.repository.js';

/** Reading node executions (A-70…A-73). */
export class NodeExecutionsService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly nodes: NodeExecutionsRepository,
    private readonly tasks: TaskExecutionsRepository,
    private readonly closures: Closures,
    private readonly literals: LiteralReader,
    private readonly config: AdminConfig,
    private readonly logger: Logger,
  ) {}

  async get(id: NodeExecutionIdentifier | undefined): Promise<NodeExecution> {
    const { key, row } = await this.find(id);
    return toNodeExecution(key, row);
  }

  /** Top-level nodes, or direct children of one. */
  async list(request: NodeExecutionListRequest): Promise<NodeExecutionList> {
    const execution = await knownExecution(
      this.database,
      this.executions,
      request.workflowExecutionId,
      'workflow_execution_id',
    );
    const parent: NodeParent =
      request.uniqueParentId === '' ? { kind: 'none' } : { kind: 'node', nodeId: request.uniqueParentId };
    return this.listOf(execution, parent, request);
  }

  /** Children of a task execution (A-71: event version 0 only); NOT_FOUND if there is no such one. */
  async listForTask(request: NodeExecutionForTaskListRequest): Promise<NodeExecutionList> {
    const id = request.taskExecutionId;
    if (!id) throw invalidArgument('task_execution_id: missing; it must name a task execution');
    const task = requireIdentifier(id.taskId, ResourceType.TASK, 'task_execution_id.task_id');
    const nodeId = id.nodeExecutionId?.nodeId ?? '';
    requirePart(nodeId, 'task_execution_id.node_execution_id.node_id');
    const execution = await knownExecution(
      this.database,
      this.executions,
      id.nodeExecutionId?.executionId,
      'task_execution_id.node_execution_id.execution_id',
    );
    if (!(await this.tasks.find(this.database, execution.row.id, nodeId, id.retryAttempt, task)))
      throw notFound(
        `node ${nodeId} of ${describeKey(execution.key)} has no attempt ${id.retryAttempt} of task ${describeKey(task)}`,
      );
    const key = parentTaskKey(nodeId, id.retryAttempt, task.name);
    return this.listOf(execution, { kind: 'task', key }, request);
  }

  async getData(id: NodeExecutionIdentifier | undefined): Promise<NodeExecutionGetDataResponse> {
    const { key, row } = await this.find(id);
    const closure = NodeExecutionClosure.decode(row.closure);
    const [inputs, outputs, dynamicWorkflow] = await Promise.all([
      this.literals.answer(inputsOf(row), flyteUrl(key, row.nodeId, 'inputs')),
      this.literals.answer(outputsOf(row, closure.outputResult), flyteUrl(key, row.nodeId, 'outputs')),
      this.dynamicWorkflow(row, closure).catch((error: unknown) => {
        // As of literals: a failed read is a warning, not an error.
        this.logger.warn({ err: error, uri: row.dynamicClosureUri }, 'a generated workflow could not be read');
        return undefined;
      }),
    ]);
    return {
      inputs: inputs.blob,
      outputs: outputs.blob,
      fullInputs: inputs.full,
      fullOutputs: outputs.full,
      dynamicWorkflow,
      flyteUrls: flyteUrls(key, row.nodeId, closure.deckUri !== ''),
    };
  }

  async getDynamicWorkflow(id: NodeExecutionIdentifier | undefined): Promise<DynamicNodeWorkflowResponse> {
    const { key, row } = await this.find(id);
    const dynamic = await this.dynamicWorkflow(row, NodeExecutionClosure.decode(row.closure));
    if (!dynamic?.compiledWorkflow)
      throw notFound(`node ${row.nodeId} of ${describeKey(key)} is not dynamic, or has not generated its workflow yet`);
    return { compiledWorkflow: dynamic.compiledWorkflow };
  }

  /** The row of a node, by its unique id. */
  async find(
    id: NodeExecutionIdentifier | undefined,
  ): Promise<{ key: NameKey; executionId: bigint; row: NodeExecutionRow }> {
    if (!id) throw invalidArgument('id: missing; it must name a node execution');
    if (id.nodeId === '') throw invalidArgument('id.node_id: missing');
    const { key, row: execution } = await knownExecution(
      this.database,
      this.executions,
      id.executionId,
      'id.execution_id',
    );
    const row = await this.nodes.find(this.database, execution.id, id.nodeId);
    if (!row) throw notFound(`execution ${describeKey(key)} has no node execution ${JSON.stringify(id.nodeId)}`);
    return { key, executionId: execution.id, row };
  }

  private async listOf(
    execution: Awaited<ReturnType<typeof knownExecution>>,
    parent: NodeParent,
    request: Parameters<NodeExecutionsRepository['list']>[3],
  ): Promise<NodeExecutionList> {
    const { rows, token } = await this.nodes.list(
      this.database,
      execution.row.id,
      parent,
      request,
      this.config.limits.listMs,
    );
    const nodeExecutions = rows.map((row) => {
      const node = toNodeExecution(execution.key, row);
      if (node.closure?.outputResult?.$case === 'error') {
        const error = node.closure.outputResult.value;
        const message = cut(error.message, this.config.limits.listedErrorLength);
        node.closure.outputResult = { $case: 'error', value: { ...error, message } };
      }
      return node;
    });
    return { nodeExecutions, token };
  }

  private async dynamicWorkflow(
    row: NodeExecutionRow,
    closure: NodeExecutionClosure,
  ): Promise<DynamicWorkflowNodeMetadata | undefined> {
    if (!row.dynamicClosureUri) return undefined;
    return {
      id: row.dynamicWorkflowId ? Identifier.decode(row.dynamicWorkflowId) : undefined,
      compiledWorkflow: await this.closures.readAt(row.dynamicClosureUri),
      dynamicJobSpecUri: closure.dynamicJobSpecUri,
    };
  }
}
