import { nodesOf, nodesUnder } from '@aloft/compiler';
import type { Database } from '@aloft/database';
import { uniqueNodeId } from '@aloft/engine';
import { notFound } from '@aloft/errors';
import { ExecutionClosure } from '@aloft/idl/flyteidl/admin/execution';
import { NodeExecutionClosure, NodeExecutionMetaData } from '@aloft/idl/flyteidl/admin/node_execution';
import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import type { Node } from '@aloft/idl/flyteidl/core/workflow';
import type { KnownExecution } from '../executions/execution-lookup.js';
import type { NodeExecutionRow, NodeExecutionsRepository } from '../node-executions/node-executions.repository.js';
import { isTerminalNode } from '../projection/phases.js';
import { describeKey, requireIdentifier } from '../registry/identifiers.js';
import type { Closures } from '../workflows/closures.js';
import type { WorkflowsService } from '../workflows/workflows.service.js';

/** A node of a run: what it is in its workflow, and how far it is. */
export interface NodePlace {
  nodeId: string;
  /** Path of spec ids from the root, without attempts. */
  specPath: string;
  node: Node;
  closure: CompiledWorkflowClosure;
  /** Whether it is a case of a branch. */
  inBranch: boolean;
  /** Undefined while it has not begun. */
  phase: NodeExecution_Phase | undefined;
}

/** Nodes that lie beside each other, in a workflow or a branch. */
interface Level {
  closure: CompiledWorkflowClosure;
  nodes: readonly Node[];
  inBranch: boolean;
}

/** Finds nodes of runs in the workflows that they belong to. */
export class NodePlaces {
  constructor(
    private readonly database: Database,
    private readonly rows: NodeExecutionsRepository,
    private readonly workflows: WorkflowsService,
    private readonly closures: Closures,
  ) {}

  /** NOT_FOUND if the run has no such node, begun or not. */
  async find({ key, row: execution }: KnownExecution, nodeId: string): Promise<NodePlace> {
    const root = await this.root(execution.closure);
    const row = await this.rows.find(this.database, execution.id, nodeId);
    const place = row ? await this.begun(execution.id, row, root) : await this.waiting(execution.id, nodeId, root);
    if (place) return place;
    throw notFound(
      `id.node_id: execution ${describeKey(key)} has no node ${JSON.stringify(nodeId)}; see ListNodeExecutions, or the ` +
        'workflow for nodes that have not begun',
    );
  }

  private async root(bytes: Buffer): Promise<Level> {
    const { workflowId } = ExecutionClosure.decode(bytes);
    const workflow = await this.workflows.find(requireIdentifier(workflowId, ResourceType.WORKFLOW, 'workflow_id'));
    if (!workflow) throw notFound(`the workflow ${workflowId?.name}@${workflowId?.version} of the run is gone`);
    return topLevel(await this.closures.read(workflow));
  }

  private async begun(executionId: bigint, row: NodeExecutionRow, root: Level): Promise<NodePlace | undefined> {
    const chain = [row];
    for (let parent = row.parentNodeId; parent !== null; parent = chain[0]!.parentNodeId) {
      const above = await this.rows.find(this.database, executionId, parent);
      if (!above) return undefined;
      chain.unshift(above);
    }
    let level = root;
    let node: Node | undefined;
    for (const [at, each] of chain.entries()) {
      if (at > 0) level = await this.under(node!, chain[at - 1]!, level);
      node = level.nodes.find(({ id }) => id === specIdOf(each));
      if (!node) return undefined;
    }
    const phase = NodeExecutionClosure.decode(row.closure).phase;
    const { closure, inBranch } = level;
    const specPath = chain.map(specIdOf).join('/');
    return { nodeId: row.nodeId, specPath, node: node!, closure, inBranch, phase };
  }

  /** What runs under a node that has begun; of a dynamic one that is what it generated. */
  private async under(node: Node, row: NodeExecutionRow, { closure }: Level): Promise<Level> {
    if (row.dynamicClosureUri) return topLevel(await this.closures.readAt(row.dynamicClosureUri));
    return { closure, nodes: nodesUnder(node, closure), inBranch: node.target?.$case === 'branchNode' };
  }

  /** A node without a row: of the root, or under one that goes on, whose attempt is part of the node's id. */
  private async waiting(executionId: bigint, nodeId: string, root: Level): Promise<NodePlace | undefined> {
    const direct = root.nodes.find(({ id }) => id === nodeId);
    const { closure } = root;
    if (direct) return { nodeId, specPath: nodeId, node: direct, closure, inBranch: false, phase: undefined };
    for (const parent of await this.rows.parents(this.database, executionId)) {
      if (isTerminalNode(NodeExecutionClosure.decode(parent.closure).phase)) continue;
      const above = await this.begun(executionId, parent, root);
      if (!above) continue;
      const level = await this.under(above.node, parent, { ...root, closure: above.closure });
      const attempts = level.inBranch ? 1 : maxAttempts;
      for (const node of level.nodes) {
        for (let attempt = 0; attempt < attempts; attempt++) {
          if (uniqueNodeId({ nodeId: parent.nodeId, attempt }, node.id) !== nodeId) continue;
          const specPath = `${above.specPath}/${node.id}`;
          return { nodeId, specPath, node, closure: level.closure, inBranch: level.inBranch, phase: undefined };
        }
      }
    }
    return undefined;
  }
}

/** Of a sub-workflow or dynamic node, for the ids of what has not begun in it. */
const maxAttempts = 20;

function topLevel(closure: CompiledWorkflowClosure): Level {
  const template = closure.primary?.template;
  return { closure, nodes: template ? nodesOf(template) : [], inBranch: false };
}

function specIdOf(row: NodeExecutionRow): string {
  return NodeExecutionMetaData.decode(row.metadata).specNodeId;
}
