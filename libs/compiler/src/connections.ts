import type { ConnectionSet, ConnectionSet_IdList } from '@aloft/idl/flyteidl/core/compiler';
import { byCodePoint } from '@aloft/literals';

/**
 * The edges of one workflow. An execution edge is known at both ends; an upstream edge at the dependent's only (inner nodes of
 * branches and failure nodes, which no one starts by counting down).
 */
export class Connections {
  private readonly upstream = new Map<string, Set<string>>();
  private readonly downstream = new Map<string, Set<string>>();

  addExecutionEdge(from: string, to: string): void {
    add(this.downstream, from, to);
    this.addUpstreamEdge(from, to);
  }

  addUpstreamEdge(from: string, to: string): void {
    add(this.upstream, to, from);
  }

  hasUpstream = (id: string): boolean => this.upstream.has(id);
  hasDownstream = (id: string): boolean => this.downstream.has(id);
  upstreamOf = (id: string): ReadonlySet<string> => this.upstream.get(id) ?? none;
  downstreamOf = (id: string): ReadonlySet<string> => this.downstream.get(id) ?? none;

  toConnectionSet(): ConnectionSet {
    return { downstream: lists(this.downstream), upstream: lists(this.upstream) };
  }
}

const none: ReadonlySet<string> = new Set();

function add(edges: Map<string, Set<string>>, key: string, value: string): void {
  const set = edges.get(key);
  if (set === undefined) edges.set(key, new Set([value]));
  else set.add(value);
}

function lists(edges: Map<string, Set<string>>): Record<string, ConnectionSet_IdList> {
  return Object.fromEntries(
    [...edges].map(([key, ids]) => [key, { ids: ids.size === 1 ? [...ids] : [...ids].sort(byCodePoint) }]),
  );
}

export interface Order {
  /** Nodes such that each comes after all that it depends on. */
  sorted: string[];
  /** Nodes that lie on a cycle or depend on one, in the order given. */
  rest: string[];
}

/** Sorts nodes by their dependencies; linear, and without recursion. */
export function sortByDependency(ids: readonly string[], connections: Connections): Order {
  const known = new Set(ids);
  const unmet = new Map<string, number>();
  for (const id of ids) {
    let count = 0;
    for (const provider of connections.upstreamOf(id)) if (known.has(provider)) count++;
    unmet.set(id, count);
  }
  const sorted = ids.filter((id) => unmet.get(id) === 0);
  for (let index = 0; index < sorted.length; index++)
    for (const next of connections.downstreamOf(sorted[index]!)) {
      const count = unmet.get(next);
      if (count === undefined) continue;
      unmet.set(next, count - 1);
      if (count === 1) sorted.push(next);
    }
  return { sorted, rest: ids.filter((id) => unmet.get(id)! > 0) };
}

/** One cycle among nodes none of which could be sorted, as a path that ends where it starts. */
export function findCycle(rest: readonly string[], connections: Connections): string[] | undefined {
  const left = new Set(rest);
  // Each such node depends on another such one: going upstream must come back to where it has been.
  const position = new Map<string, number>();
  const path: string[] = [];
  let current: string | undefined = rest[0];
  while (current !== undefined && !position.has(current)) {
    position.set(current, path.length);
    path.push(current);
    current = [...connections.upstreamOf(current)].find((provider) => left.has(provider));
  }
  if (current === undefined) return undefined;
  const cycle = path.slice(position.get(current)).reverse();
  return [cycle.at(-1)!, ...cycle];
}

/** All that can be reached from a node, itself included. */
export function reachableFrom(start: string, next: (id: string) => Iterable<string>): Set<string> {
  const reached = new Set([start]);
  for (const id of reached) for (const other of next(id)) reached.add(other);
  return reached;
}
