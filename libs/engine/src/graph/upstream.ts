import { START, type GraphTemplate } from './graph.js';

/** Nodes upstream of one that is in no branch, each once (C-10). The template has edges the other way; this costs the node's own spec. */
export function upstreamOf({ firstSource, sources, spec, indexOf }: GraphTemplate, node: number): ReadonlySet<number> {
  const found = new Set(sources.subarray(firstSource[node], firstSource[node + 1]));
  for (const id of spec(node).upstreamNodeIds) {
    const upstream = id === '' ? undefined : indexOf(id);
    if (upstream !== undefined) found.add(upstream);
  }
  return found.size > 0 ? found : new Set([START]);
}
