import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { Alias, Node, WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { ByteReader, ByteWriter } from '../snapshot/bytes.js';
import type { BranchCases, CompiledGraph, GraphTemplate } from './graph.js';
import { PackedNodes } from './packed-nodes.js';
import { casesOf } from './template-builder.js';

/** First number of a packed graph. Another version is not read: whoever keeps packed graphs makes them anew from their closures. */
export const packedGraphVersion = 2;

/**
 * A compiled graph as bytes: its arrays, what of the closure belongs to no single node, and the nodes, encoded one by one. Reading it takes
 * neither decoding the nodes nor finding the edges anew, and in memory it stays about as large as it is here.
 */
export function packGraph(graph: CompiledGraph): Uint8Array {
  const out = new ByteWriter();
  out.int(packedGraphVersion);
  out.string(graph.digest);
  const { tasks, launchPlans } = graph.closure;
  out.message(CompiledWorkflowClosure, { tasks, launchPlans, primary: undefined, subWorkflows: [] });
  out.list(graph.templates, (template) => writeTemplate(out, template));
  return out.finish();
}

/** @throws Error if the bytes are of another version, or damaged. */
export function unpackGraph(bytes: Uint8Array): CompiledGraph {
  const from = new ByteReader(bytes);
  const version = from.int();
  if (version !== packedGraphVersion)
    throw new Error(`engine: a packed graph of version ${version}; this engine reads version ${packedGraphVersion}`);
  const digest = from.string();
  const rest = from.message(CompiledWorkflowClosure);
  const templates: GraphTemplate[] = [];
  from.list(() => templates.push(readTemplate(from, templates.length)));
  const [primary, ...subWorkflows] = templates.map(({ workflow }) => ({ template: workflow, connections: undefined }));
  if (!rest || !primary) throw new Error(`engine: the packed graph ${digest} has no workflow`);
  const tasks = rest.tasks.flatMap(({ template }) => template ?? []);
  return { digest, closure: { ...rest, primary, subWorkflows }, templates, tasks };
}

function writeTemplate(out: ByteWriter, template: GraphTemplate): void {
  out.message(WorkflowTemplate, { ...template.workflow, nodes: [], failureNode: undefined });
  const encoded = Array.from({ length: template.count }, (_, node) => Node.encode(template.spec(node)).finish());
  let end = 0;
  out.ints(encoded.map(({ length }) => (end += length)));
  const nodes = new Uint8Array(end);
  end = 0;
  for (const node of encoded) {
    nodes.set(node, end);
    end += node.length;
  }
  out.bytes(nodes);
  out.list(template.ids, (id) => out.string(id));
  writeNames(out, template.names);
  out.bytes(template.kinds);
  for (const values of [
    template.targets,
    template.firstDown,
    template.down,
    template.unmet,
    template.firstSource,
    template.sources,
    template.readers,
    template.branchOf,
  ])
    out.ints(values);
  out.list(template.branches, ([branch, { nodes: cases }]) => {
    out.int(branch);
    out.ints(cases);
  });
  out.list(template.aliases, ([node, aliases]) => {
    out.int(node);
    out.list(aliases, (alias) => out.message(Alias, alias));
  });
  out.int(template.failureNode);
}

/** Many nodes have the same: each name once, and which it is. */
function writeNames(out: ByteWriter, names: readonly string[]): void {
  const distinct = new Map<string, number>();
  const which = names.map((name) => {
    let at = distinct.get(name);
    if (at === undefined) distinct.set(name, (at = distinct.size));
    return at;
  });
  out.list(distinct.keys(), (name) => out.string(name));
  out.ints(which);
}

function readNames(from: ByteReader): string[] {
  const distinct: string[] = [];
  from.list(() => void distinct.push(from.string()));
  return Array.from(from.manyInts(), (at) => distinct[at]!);
}

function readTemplate(from: ByteReader, index: number): GraphTemplate {
  const workflow = from.message(WorkflowTemplate);
  if (!workflow) throw new Error(`engine: the packed graph lacks workflow ${index}`);
  const ends = from.manyInts();
  const packed = new PackedNodes(from.bytes(), ends);
  const spec = (node: number): Node => packed.get(node);
  const ids: string[] = [];
  from.list(() => void ids.push(from.string()));
  const names = readNames(from);
  const kinds = from.bytes();
  const [targets, firstDown, down, unmet] = [from.manyInts(), from.manyInts(), from.manyInts(), from.manyInts()];
  const [firstSource, sources, readers, branchOf] = [
    from.manyInts(),
    from.manyInts(),
    from.manyInts(),
    from.manyInts(),
  ];
  const branches = new Map<number, BranchCases>();
  from.list(() => {
    const branch = from.int();
    const { target } = spec(branch);
    if (target?.$case !== 'branchNode') throw new Error(`engine: node ${ids[branch]} of the packed graph is no branch`);
    branches.set(branch, casesOf(target.value, [...from.manyInts()]));
  });
  const aliases = new Map<number, Alias[]>();
  from.list(() => {
    const node = from.int();
    const own: Alias[] = [];
    from.list(() => void own.push(from.message(Alias)!));
    aliases.set(node, own);
  });
  const failureNode = from.int();
  const byId = new Map<string, number>();
  ids.forEach((id, node) => {
    if (branchOf[node]! < 0 && node !== failureNode) byId.set(id, node);
  });
  return {
    index,
    workflow,
    count: ids.length,
    ids,
    names,
    kinds,
    targets,
    spec,
    firstDown,
    down,
    unmet,
    firstSource,
    sources,
    readers,
    branchOf,
    branches,
    aliases,
    failureNode,
    indexOf: (id) => byId.get(id),
  };
}
