import type { Database } from '@aloft/database';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Span } from '@aloft/idl/flyteidl/core/metrics';
import { toNodeExecution } from '../node-executions/node-answers.js';
import type { NodeExecutionsRepository } from '../node-executions/node-executions.repository.js';
import { toTaskExecution } from '../task-executions/task-answers.js';
import type { TaskExecutionsRepository } from '../task-executions/task-executions.repository.js';
import { timestampOf } from '../time.js';
import { toExecution } from './execution-answers.js';
import { knownExecution } from './execution-lookup.js';
import { spansOfRun, type RunTree } from './execution-spans.js';
import type { ExecutionsRepository } from './executions.repository.js';

/** Rows of one run that a span tree is made of, at most. */
const maxRows = 20_000;
const defaultDepth = 10;

/** Where the time of a run went. */
export class ExecutionMetricsService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly nodes: NodeExecutionsRepository,
    private readonly tasks: TaskExecutionsRepository,
  ) {}

  async spanOf(id: WorkflowExecutionIdentifier | undefined, depth: number): Promise<Span> {
    const levels = depth > 0 ? depth : defaultDepth;
    return spansOfRun(await this.load(id, levels), levels, timestampOf(new Date()));
  }

  private async load(id: WorkflowExecutionIdentifier | undefined, depth: number): Promise<RunTree> {
    const { key, row } = await knownExecution(this.database, this.executions, id, 'id');
    const [nodeRows, taskRows] = await Promise.all([
      this.nodes.first(this.database, row.id, maxRows),
      this.tasks.first(this.database, row.id, maxRows),
    ]);
    const nodes = nodeRows.map((node) => toNodeExecution(key, node));
    const children = new Map<string, RunTree>();
    // A child run's own nodes lie two levels below the node that started it.
    for (const node of depth > 2 ? nodes : []) {
      const target = node.closure?.targetMetadata;
      if (target?.$case === 'workflowNodeMetadata')
        children.set(node.id?.nodeId ?? '', await this.load(target.value.executionId, depth - 2));
    }
    return {
      execution: toExecution(row),
      nodes,
      parents: new Map(nodeRows.flatMap((node) => (node.parentNodeId ? [[node.nodeId, node.parentNodeId]] : []))),
      tasks: taskRows.map((task) => toTaskExecution(key, task)),
      children,
    };
  }
}
