import type { Database } from '@aloft/database';
import { AloftError } from '@aloft/errors';
import { ExecutionClosure } from '@aloft/idl/flyteidl/admin/execution';
import { NodeExecutionMetaData } from '@aloft/idl/flyteidl/admin/node_execution';
import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { ResourceType, type WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Span } from '@aloft/idl/flyteidl/core/metrics';
import { toNodeExecution } from '../node-executions/node-answers.js';
import type { NodeExecutionRow, NodeExecutionsRepository } from '../node-executions/node-executions.repository.js';
import { nodeOfTaskKey } from '../projection/fold-node.js';
import { requireExecutionId, requireIdentifier, type NameKey } from '../registry/identifiers.js';
import { toTaskExecution } from '../task-executions/task-answers.js';
import type { TaskExecutionsRepository } from '../task-executions/task-executions.repository.js';
import { timestampOf } from '../time.js';
import type { Closures } from '../workflows/closures.js';
import type { WorkflowsService } from '../workflows/workflows.service.js';
import { toExecution } from './execution-answers.js';
import { knownExecution } from './execution-lookup.js';
import { spansOfRun, type RunTree } from './execution-spans.js';
import type { ExecutionRow, ExecutionsRepository } from './executions.repository.js';
import { placesOf } from './run-places.js';

/** Rows of node and task executions that a span tree is made of, of all its runs, at most: what comes later stays untold. */
const maxRows = 20_000;
/** Workflows that dynamic nodes generated are read for so many nodes of a run. */
const maxGenerated = 100;
/** Instead of no limit. */
const deepest = 100;

/** What may still be read for one answer. */
interface Budget {
  rows: number;
}

/** Where the time of a run went. */
export class ExecutionMetricsService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly nodes: NodeExecutionsRepository,
    private readonly tasks: TaskExecutionsRepository,
    private readonly workflows: WorkflowsService,
    private readonly closures: Closures,
  ) {}

  /** `depth` 0: the run as a whole; below 0: everything. NOT_FOUND for an unknown run. */
  async spanOf(id: WorkflowExecutionIdentifier | undefined, depth: number): Promise<Span> {
    const levels = depth < 0 ? deepest : Math.min(depth, deepest);
    const { key, row } = await knownExecution(this.database, this.executions, id, 'id');
    return spansOfRun(await this.load(key, row, levels, { rows: maxRows }), levels, timestampOf(new Date()));
  }

  private async load(key: NameKey, row: ExecutionRow, depth: number, budget: Budget): Promise<RunTree> {
    const nodeRows = depth > 0 ? await this.nodes.first(this.database, row.id, budget.rows) : [];
    budget.rows -= nodeRows.length;
    // An attempt lies two levels below its run.
    const taskRows = depth > 1 ? await this.tasks.first(this.database, row.id, budget.rows) : [];
    budget.rows -= taskRows.length;
    const nodes = nodeRows.map((node) => ({
      row: node,
      execution: toNodeExecution(key, node),
      parent: parentOf(node),
    }));
    const places = placesOf(await this.placed(nodes), nodes.length > 0 ? await this.workflowOf(row) : undefined);
    const children = new Map<string, RunTree>();
    for (const { row: node, execution } of depth > 1 ? nodes : []) {
      const target = execution.closure?.targetMetadata;
      if (target?.$case !== 'workflowNodeMetadata') continue;
      const child = await this.child(key, target.value.executionId, depth - 2, budget);
      if (child) children.set(node.nodeId, child);
    }
    return {
      execution: toExecution(row),
      nodes: nodes.map(({ row: { nodeId }, execution, parent }) => {
        const { upstream, isGate } = places.get(nodeId) ?? { upstream: [], isGate: false };
        return { execution, parent, upstream, isGate };
      }),
      tasks: taskRows.map((task) => toTaskExecution(key, task)),
      children,
    };
  }

  /** Undefined: it is gone, or there is no room for it. */
  private async child(
    parent: NameKey,
    id: WorkflowExecutionIdentifier | undefined,
    depth: number,
    budget: Budget,
  ): Promise<RunTree | undefined> {
    const key = requireExecutionId(id);
    // Only a foreign engine could say that a run is its own child.
    if (
      budget.rows-- <= 0 ||
      (key.name === parent.name && key.project === parent.project && key.domain === parent.domain)
    )
      return undefined;
    const row = await this.executions.find(this.database, key);
    return row && this.load(key, row, depth, budget);
  }

  private async placed(nodes: readonly { row: NodeExecutionRow; parent: string | undefined }[]) {
    const parents = new Set(nodes.map(({ parent }) => parent));
    const dynamic = nodes.filter(({ row }) => row.dynamicClosureUri && parents.has(row.nodeId)).slice(0, maxGenerated);
    const generated = new Map<string, CompiledWorkflowClosure | undefined>();
    for (const { row } of dynamic)
      generated.set(row.nodeId, await ifThere(this.closures.readAt(row.dynamicClosureUri as string)));
    return nodes.map(({ row, parent }) => ({
      nodeId: row.nodeId,
      specNodeId: NodeExecutionMetaData.decode(row.metadata).specNodeId,
      parent,
      generated: generated.get(row.nodeId),
    }));
  }

  private async workflowOf(row: ExecutionRow): Promise<CompiledWorkflowClosure | undefined> {
    const { workflowId } = ExecutionClosure.decode(row.closure);
    const workflow = await this.workflows.find(requireIdentifier(workflowId, ResourceType.WORKFLOW, 'workflow_id'));
    return workflow && ifThere(this.closures.read(workflow));
  }
}

/** Without a closure, nothing is known of what a node waited for; the times are there all the same. */
async function ifThere(closure: Promise<CompiledWorkflowClosure>): Promise<CompiledWorkflowClosure | undefined> {
  try {
    return await closure;
  } catch (error) {
    if (error instanceof AloftError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

function parentOf({ parentNodeId, parentTask }: NodeExecutionRow): string | undefined {
  return parentNodeId ?? (parentTask === null ? undefined : nodeOfTaskKey(parentTask));
}
