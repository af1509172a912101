import type { CompiledWorkflow } from '@aloft/idl/flyteidl/core/compiler';
import type { Variable } from '@aloft/idl/flyteidl/core/interface';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { IfBlock, IfElseBlock, Node, WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { byCodePoint } from '@aloft/literals';
import { checkBindings, endNodeId, namedProviders, providersOf, startNodeId } from './bindings.js';
import { ErrorCollector } from './compile-error.js';
import { Connections, findCycle, reachableFrom, sortByDependency } from './connections.js';
import { formatIdentifier, identifierKey } from './identifier.js';
import { checkVariables, interfaceOf, type LaunchPlanInterface, type NodeInterface } from './node-interface.js';
import { NodeCheck, referencesOf } from './node-check.js';
import { innerNodes } from './requirements.js';

/** What a workflow and its sub-workflows may refer to, by identifier key. */
export interface Surroundings {
  tasks: Map<string, TaskTemplate>;
  launchPlans: Map<string, LaunchPlanInterface>;
  subWorkflows: Map<string, WorkflowTemplate>;
  /** Sub-workflows done; undefined for one that has errors. */
  compiled: Map<string, CompiledWorkflow | undefined>;
  /** Those being compiled now: to meet one again means that it contains itself. */
  compiling: Set<string>;
}

/** Compiles one workflow and, through it, the sub-workflows that it uses. Undefined when there are errors. */
export function compileGraph(
  template: WorkflowTemplate,
  surroundings: Surroundings,
  errors: ErrorCollector,
): CompiledWorkflow | undefined {
  const before = errors.reported;
  if (template.nodes.length === 0) {
    errors.add(
      'NoNodesFound',
      startNodeId,
      `${formatIdentifier(template.id)} has no nodes; a workflow needs at least one`,
    );
    return undefined;
  }
  const signature = interfaceOf(template.interface);
  checkVariables(startNodeId, template.interface?.inputs, errors);
  checkVariables(endNodeId, template.interface?.outputs, errors);

  const nodes = uniqueNodes(template.nodes.map(prepareNode), errors);
  const failureNode = template.failureNode && prepareNode(template.failureNode);
  const end = endNode(namedProviders(template.outputs));
  const connections = connect(nodes, failureNode, end, errors);

  const ids = nodes.map(({ id }) => id);
  const order = sortByDependency(ids, connections);
  if (order.rest.length > 0) reportCycle(order.rest, connections, errors);
  checkNodes(nodes, [...order.sorted, ...order.rest], failureNode, end, signature, surroundings, errors);

  addEnds(ids, connections);
  checkReachable(ids, connections, errors);
  if (errors.reported > before) return undefined;
  return {
    template: {
      ...template,
      interface: {
        inputs: template.interface?.inputs ?? { variables: {} },
        outputs: template.interface?.outputs ?? { variables: {} },
      },
      nodes: [startNode(), end, ...nodes],
      outputs: end.inputs,
      failureNode,
    },
    connections: connections.toConnectionSet(),
  };
}

const startNode = (): Node => endlessNode(startNodeId);
const endNode = (inputs: Node['inputs']): Node => ({ ...endlessNode(endNodeId), inputs });
const endlessNode = (id: string): Node => ({
  id,
  metadata: undefined,
  inputs: [],
  upstreamNodeIds: [],
  outputAliases: [],
  target: undefined,
});

/**
 * A copy with promises that name their nodes, sorted upstream ids, and ids of a branch's cases made its own. The item of an array
 * node stays as it came, as in Flyte: what it gets is bound at the array node.
 */
function prepareNode(node: Node): Node {
  const prepared: Node = {
    ...node,
    inputs: namedProviders(node.inputs),
    upstreamNodeIds: [...node.upstreamNodeIds].sort(byCodePoint),
  };
  const target = node.target;
  if (target?.$case === 'branchNode' && target.value.ifElse !== undefined)
    prepared.target = {
      $case: 'branchNode',
      value: { ...target.value, ifElse: prepareCases(node.id, target.value.ifElse) },
    };
  return prepared;
}

/**
 * Ids within a branch come from a compilation of their own and recur from branch to branch: they become `<branch>-<id>`, and
 * where one recurs within the same branch, `<branch>-<id>-<number>`.
 */
function prepareCases(branchId: string, ifElse: IfElseBlock): IfElseBlock {
  const taken = new Set<string>();
  const rename = (node: Node): Node => {
    const wanted = `${branchId}-${node.id}`;
    let id = wanted;
    for (let number = 2; taken.has(id); number++) id = `${wanted}-${number}`;
    taken.add(id);
    return prepareNode({ ...node, id });
  };
  const block = (item: IfBlock): IfBlock =>
    item.thenNode === undefined ? item : { ...item, thenNode: rename(item.thenNode) };
  return {
    ...ifElse,
    case: ifElse.case && block(ifElse.case),
    other: ifElse.other.map(block),
    default:
      ifElse.default?.$case === 'elseNode'
        ? { $case: 'elseNode', value: rename(ifElse.default.value) }
        : ifElse.default,
  };
}

function uniqueNodes(nodes: readonly Node[], errors: ErrorCollector): Node[] {
  const taken = new Set([startNodeId, endNodeId]);
  return nodes.filter(({ id }, index) => {
    if (id === '') {
      errors.add('ValueRequired', `nodes[${index}]`, 'the node has no id');
      return false;
    }
    if (taken.has(id)) {
      const reserved = id === startNodeId || id === endNodeId;
      errors.add('DuplicateId', id, reserved ? `the id '${id}' is reserved` : `two nodes have the id '${id}'`);
      return false;
    }
    taken.add(id);
    return true;
  });
}

/** Edges from explicit upstream ids and from promises, wherever a node uses them. */
function connect(
  nodes: readonly Node[],
  failureNode: Node | undefined,
  end: Node,
  errors: ErrorCollector,
): Connections {
  const connections = new Connections();
  const known = new Set([startNodeId, ...nodes.map(({ id }) => id)]);
  for (const node of nodes) {
    for (const provider of providersOf(node.inputs)) connections.addExecutionEdge(provider, node.id);
    for (const provider of node.upstreamNodeIds) {
      const id = provider === '' ? startNodeId : provider;
      if (known.has(id)) connections.addExecutionEdge(id, node.id);
      else errors.add('NodeReferenceNotFound', node.id, `it waits for node '${id}', which doesn't exist`);
    }
    if (node.target?.$case === 'branchNode') connectCases(node, connections);
  }
  for (const provider of providersOf(end.inputs)) connections.addExecutionEdge(provider, endNodeId);
  if (failureNode !== undefined)
    for (const provider of providersOf(failureNode.inputs)) connections.addUpstreamEdge(provider, failureNode.id);
  return connections;
}

/**
 * What a case uses, its branch has to wait for: the case starts as soon as the branch has chosen it. Flyte's closure only has the case
 * wait. Upstream ids that a case lists are from a compilation of its own and say nothing here; Flyte passes over them as well.
 */
function connectCases(branch: Node, connections: Connections): void {
  const pending = innerNodes(branch);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.target?.$case === 'branchNode') pending.push(...innerNodes(node));
    for (const provider of providersOf(node.inputs)) {
      connections.addUpstreamEdge(provider, node.id);
      if (provider !== startNodeId) connections.addExecutionEdge(provider, branch.id);
    }
  }
}

/** Nodes that wait for no one hang on the start; those that no one waits for lead to the end. */
function addEnds(ids: readonly string[], connections: Connections): void {
  for (const id of ids) {
    if (!connections.hasUpstream(id)) connections.addExecutionEdge(startNodeId, id);
    if (!connections.hasDownstream(id)) connections.addExecutionEdge(id, endNodeId);
  }
}

function checkNodes(
  nodes: readonly Node[],
  order: readonly string[],
  failureNode: Node | undefined,
  end: Node,
  signature: NodeInterface,
  surroundings: Surroundings,
  errors: ErrorCollector,
): void {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const outputs = new Map<string, Record<string, Variable> | 'unknown'>([[startNodeId, signature.inputs]]);
  const outputsOf = (id: string) => outputs.get(id) ?? (byId.has(id) ? 'unknown' : id === endNodeId ? {} : undefined);
  const { tasks, launchPlans, subWorkflows } = surroundings;
  const references = referencesOf(tasks, launchPlans, subWorkflows, (template, usedBy) =>
    compileSubWorkflow(template, usedBy, surroundings, errors),
  );
  const check = new NodeCheck(references, outputsOf, errors);
  for (const id of order) outputs.set(id, check.check(byId.get(id)!) ?? 'unknown');
  if (failureNode !== undefined) {
    if (failureNode.id === '') errors.add('ValueRequired', 'failure_node', 'the failure node has no id');
    check.check(failureNode);
  }
  checkBindings(endNodeId, end.inputs, signature.outputs, outputsOf, errors);
}

function reportCycle(rest: readonly string[], connections: Connections, errors: ErrorCollector): void {
  const cycle = findCycle(rest, connections);
  if (cycle === undefined) return;
  errors.add('CycleDetected', cycle[0]!, `nodes wait for each other: ${shown(cycle, ' > ')}`);
}

function checkReachable(ids: readonly string[], connections: Connections, errors: ErrorCollector): void {
  const reached = reachableFrom(startNodeId, connections.downstreamOf);
  const lost = ids.filter((id) => !reached.has(id));
  if (lost.length > 0)
    errors.add('UnreachableNodes', startNodeId, `no path from the start leads to ${shown(lost, ', ')}`);
  if (connections.downstreamOf(startNodeId).size === 0)
    errors.add('NoEntryNodeFound', startNodeId, 'no node can start first: each waits for another');
  if (connections.upstreamOf(endNodeId).size === 0)
    errors.add('NoExitNodeFound', endNodeId, 'no node leads to the end: another waits for each');
}

const shownNodes = 20;
const shown = (ids: readonly string[], separator: string): string =>
  ids.length <= shownNodes
    ? ids.join(separator)
    : `${ids.slice(0, shownNodes).join(separator)}${separator}… (${ids.length - shownNodes} more)`;

/** Compiles a sub-workflow once, however many nodes use it; its errors are reported with its name. */
function compileSubWorkflow(
  template: WorkflowTemplate,
  usedBy: string,
  surroundings: Surroundings,
  errors: ErrorCollector,
): void {
  const key = identifierKey(template.id!);
  if (surroundings.compiled.has(key)) return;
  if (surroundings.compiling.has(key)) {
    errors.add('CycleDetected', usedBy, `${formatIdentifier(template.id)} contains itself`);
    return;
  }
  surroundings.compiling.add(key);
  const scope = new ErrorCollector(formatIdentifier(template.id));
  const compiled = compileGraph(template, surroundings, scope);
  surroundings.compiling.delete(key);
  surroundings.compiled.set(key, compiled);
  errors.addAll(scope.errors);
}
