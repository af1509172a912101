import { nodesOf, nodesUnder, providersOf } from '@aloft/compiler';
import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { Node } from '@aloft/idl/flyteidl/core/workflow';

/** A node execution as it is stored: where it stands among the others. */
export interface PlacedNode {
  nodeId: string;
  specNodeId: string;
  parent: string | undefined;
  /** What it generated, if it is dynamic and that could be read. */
  generated: CompiledWorkflowClosure | undefined;
}

export interface Place {
  /** Spec ids of the nodes beside it that it waits for. */
  upstream: readonly string[];
  isGate: boolean;
}

/** Finds the nodes of a run in its workflow, its sub-workflows, branches and what dynamic nodes generated. By id of the execution. */
export function placesOf(
  nodes: readonly PlacedNode[],
  root: CompiledWorkflowClosure | undefined,
): ReadonlyMap<string, Place> {
  const below = new Map<string | undefined, PlacedNode[]>();
  for (const node of nodes) below.set(node.parent, [...(below.get(node.parent) ?? []), node]);
  const places = new Map<string, Place>();
  const visit = (parent: string | undefined, specs: readonly Node[], closure: CompiledWorkflowClosure): void => {
    const byId = new Map(specs.map((spec) => [spec.id, spec]));
    for (const node of below.get(parent) ?? []) {
      const spec = byId.get(node.specNodeId);
      if (!spec) continue;
      places.set(node.nodeId, {
        upstream: [...new Set([...spec.upstreamNodeIds, ...providersOf(spec.inputs)])],
        isGate: spec.target?.$case === 'gateNode',
      });
      if (!below.has(node.nodeId)) continue;
      if (node.generated) visit(node.nodeId, top(node.generated), node.generated);
      else visit(node.nodeId, nodesUnder(spec, closure), closure);
    }
  };
  if (root) visit(undefined, top(root), root);
  return places;
}

function top({ primary }: CompiledWorkflowClosure): Node[] {
  return primary?.template ? nodesOf(primary.template) : [];
}
