import { invalidArgument } from '@aloft/errors';
import type { Binding, BindingData } from '@aloft/idl/flyteidl/core/literals';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { EdgeList } from './edge-list.js';
import { Node, type BranchNode, type WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { keyOf } from './identifiers.js';
import { END, END_NODE_ID, Kind, START, START_NODE_ID, type BranchCases, type GraphTemplate } from './graph.js';

/** Turns one workflow of a closure into arrays. */
export class TemplateBuilder {
  private readonly ids: string[] = [START_NODE_ID, END_NODE_ID];
  private readonly specs: Node[];
  private readonly kinds: number[] = [Kind.Start, Kind.End];
  private readonly targets: number[] = [-1, -1];
  private readonly branchOf: number[] = [-1, -1];
  private readonly byId = new Map<string, number>([
    [START_NODE_ID, START],
    [END_NODE_ID, END],
  ]);
  private readonly branches = new Map<number, BranchCases>();

  constructor(
    private readonly workflow: WorkflowTemplate,
    private readonly index: number,
    private readonly tasks: ReadonlyMap<string, number>,
    private readonly workflows: ReadonlyMap<string, number>,
  ) {
    const start = Node.create({ id: START_NODE_ID });
    const end = Node.create({ id: END_NODE_ID });
    end.inputs = workflow.outputs;
    this.specs = [start, end];
  }

  build(): GraphTemplate {
    const inner = new Set<string>();
    for (const node of this.workflow.nodes) collectInner(node, inner);
    for (const node of this.workflow.nodes) {
      // Flyte's compiler lists start, end and the nodes inside branches among the workflow's nodes as well.
      if (node.id === START_NODE_ID || node.id === END_NODE_ID || inner.has(node.id)) continue;
      if (this.byId.has(node.id)) throw this.refuse(node.id, 'is there twice; node ids must differ');
      this.byId.set(node.id, this.add(node, -1));
    }
    for (let node = 0; node < this.ids.length; node++) {
      const target = this.specs[node]!.target;
      if (target?.$case === 'branchNode') this.addCases(node, target.value);
    }
    const failureNode = this.workflow.failureNode ? this.add(this.workflow.failureNode, -1) : -1;
    return this.assemble(failureNode);
  }

  private add(node: Node, branch: number): number {
    const { kind, target } = this.kindOf(node);
    this.ids.push(node.id);
    this.specs.push(node);
    this.kinds.push(kind);
    this.targets.push(target);
    this.branchOf.push(branch);
    return this.ids.length - 1;
  }

  private kindOf(node: Node): { kind: Kind; target: number } {
    const target = node.target;
    switch (target?.$case) {
      case 'taskNode':
        return { kind: Kind.Task, target: this.task(node.id, target.value.reference?.value) };
      case 'workflowNode': {
        const reference = target.value.reference;
        if (reference?.$case === 'launchplanRef') return { kind: Kind.ChildExecution, target: -1 };
        const found = this.workflows.get(keyOf(reference?.value));
        if (found === undefined) throw this.refuse(node.id, `refers to a sub-workflow that isn't in the closure`);
        return { kind: Kind.SubWorkflow, target: found };
      }
      case 'branchNode':
        return { kind: Kind.Branch, target: -1 };
      case 'gateNode':
        return { kind: Kind.Gate, target: -1 };
      case 'arrayNode': {
        const item = target.value.node;
        if (item?.target?.$case === 'taskNode') {
          return { kind: Kind.Array, target: this.task(node.id, item.target.value.reference?.value) };
        }
        if (item?.target?.$case === 'workflowNode' && item.target.value.reference?.$case === 'launchplanRef') {
          return { kind: Kind.Array, target: -1 };
        }
        throw this.refuse(node.id, 'maps over something else than a task or a launch plan (C-143)');
      }
      default:
        throw this.refuse(node.id, 'has no target; it must be a task, workflow, branch, gate or array node');
    }
  }

  private task(nodeId: string, id: Identifier | undefined): number {
    const found = this.tasks.get(keyOf(id));
    if (found === undefined) {
      throw this.refuse(nodeId, `refers to task ${id?.name}@${id?.version}, which isn't in the closure`);
    }
    return found;
  }

  private addCases(branch: number, spec: BranchNode): void {
    for (const thenNode of thenNodesOf(spec)) {
      if (!thenNode) throw this.refuse(this.ids[branch]!, 'has a case without a node');
    }
    const nodes = thenNodesOf(spec).map((thenNode) => this.add(thenNode!, branch));
    const cases = casesOf(spec, nodes);
    this.branches.set(branch, cases);
  }

  private assemble(failureNode: number): GraphTemplate {
    const count = this.ids.length;
    const edges = new EdgeList(count);
    const sources = new EdgeList(count);
    for (let node = 1; node < count; node++) {
      const spec = this.specs[node]!;
      for (const id of spec.upstreamNodeIds) {
        if (id !== '' && node !== failureNode) edges.add(this.resolve(node, id), node);
      }
      forEachPromise(spec.inputs, (id) => {
        const source = this.resolve(node, id);
        if (node !== failureNode) edges.add(source, node);
        sources.add(source, node);
      });
      if (this.branchOf[node]! >= 0) edges.add(this.branchOf[node]!, node);
    }
    // A branch's edges to its own cases, and edges into cases at all, don't make a node's end sure before the run's.
    const hasUpstream = edges.targets();
    const hasDownstream = edges.origins((to) => this.branchOf[to]! < 0);
    for (let node = 2; node < count; node++) {
      if (node === failureNode) continue;
      if (!hasUpstream[node]) edges.add(START, node);
      if (this.branchOf[node]! < 0 && !hasDownstream[node]) edges.add(node, END);
    }
    if (!edges.targets()[END]) edges.add(START, END);
    const down = edges.rows('forward');
    const unmet = edges.degrees(edges.rows('backward'));
    const read = sources.rows('backward');
    this.refuseCycles(down.first, down.entries, unmet.slice(), failureNode);
    const { ids, byId, specs } = this;
    return {
      index: this.index,
      workflow: this.workflow,
      count,
      ids,
      names: specs.map(({ metadata }) => metadata?.name ?? ''),
      kinds: Uint8Array.from(this.kinds),
      targets: Int32Array.from(this.targets),
      spec: (node) => specs[node]!,
      firstDown: down.first,
      down: down.entries,
      unmet,
      firstSource: read.first,
      sources: read.entries,
      readers: sources.degrees(sources.rows('forward')),
      branchOf: Int32Array.from(this.branchOf),
      branches: this.branches,
      aliases: new Map(
        specs.flatMap(({ outputAliases }, node) => (outputAliases.length > 0 ? [[node, outputAliases]] : [])),
      ),
      failureNode,
      indexOf: (id) => byId.get(id),
    };
  }

  private resolve(node: number, id: string): number {
    const found = this.byId.get(id);
    if (found === undefined) {
      throw this.refuse(this.ids[node]!, `depends on node "${id}", which isn't in the workflow`);
    }
    return found;
  }

  private refuseCycles(first: Int32Array, down: Int32Array, degrees: Int32Array, failureNode: number): void {
    const ready: number[] = [START];
    let seen = 0;
    while (ready.length > 0) {
      const node = ready.pop() as number;
      seen++;
      for (let edge = first[node]!; edge < first[node + 1]!; edge++) {
        if (--degrees[down[edge]!]! === 0) ready.push(down[edge]!);
      }
    }
    if (seen === this.ids.length - (failureNode >= 0 ? 1 : 0)) return;
    const stuck = this.ids.filter((_, node) => degrees[node]! > 0).slice(0, 10);
    throw this.refuse(stuck[0] ?? '', `can never start: ${stuck.join(', ')} wait for each other in a cycle`);
  }

  private refuse(node: string, why: string): Error {
    const id = this.workflow.id;
    return invalidArgument(`compiled closure: workflow ${id?.name}@${id?.version}, node "${node}" ${why}`);
  }
}

function thenNodesOf({ ifElse }: BranchNode): (Node | undefined)[] {
  const nodes = [ifElse?.case, ...(ifElse?.other ?? [])].map((each) => each?.thenNode);
  if (ifElse?.default?.$case === 'elseNode') nodes.push(ifElse.default.value);
  return nodes;
}

/** The cases of a branch, whose nodes have these numbers. */
export function casesOf({ ifElse }: BranchNode, nodes: number[]): BranchCases {
  const conditions = [ifElse?.case, ...(ifElse?.other ?? [])].map((each) => each?.condition);
  if (ifElse?.default?.$case === 'elseNode') conditions.push(undefined);
  return { conditions, nodes, elseFail: ifElse?.default?.$case === 'error' ? ifElse.default.value : undefined };
}

/** Ids of the nodes inside a branch, at every depth. */
function collectInner(node: Node, into: Set<string>): void {
  if (node.target?.$case !== 'branchNode') return;
  const block = node.target.value.ifElse;
  const inside = [block?.case?.thenNode, ...(block?.other ?? []).map((other) => other.thenNode)];
  if (block?.default?.$case === 'elseNode') inside.push(block.default.value);
  for (const each of inside) {
    if (!each) continue;
    into.add(each.id);
    collectInner(each, into);
  }
}

export function forEachPromise(bindings: readonly Binding[], visit: (nodeId: string) => void): void {
  const walk = (data: BindingData | undefined): void => {
    switch (data?.value?.$case) {
      case 'promise':
        return visit(data.value.value.nodeId === '' ? START_NODE_ID : data.value.value.nodeId);
      case 'collection':
        return data.value.value.bindings.forEach(walk);
      case 'map':
        return Object.values(data.value.value.bindings).forEach(walk);
      default:
    }
  };
  for (const binding of bindings) walk(binding.binding);
}
