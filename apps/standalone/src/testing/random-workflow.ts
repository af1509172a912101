import type { Node } from '@aloft/idl/flyteidl/core/workflow';
import { childNode, registerWorkflow, sleepNode, subNode, taskNode } from './workflows.js';
import type { Services } from './services.js';

type PartialNode = Parameters<typeof Node.fromPartial>[0];

/** Numbers from a seed: mulberry32. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/**
 * Registers a random workflow of tasks, sub-workflows, child executions and sleeps; `tasks` and `plans` exist. Returns how many
 * nodes may be in flight at once in runs of it (0: any number).
 */
export async function registerRandom(
  services: Services,
  name: string,
  seed: number,
  { tasks, plans }: { tasks: readonly string[]; plans: readonly string[] },
): Promise<number> {
  const random = randomOf(seed);
  const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;
  const subs: Record<string, { nodes: PartialNode[]; output: string }> = {};
  const flow = (size: number, depth: number): { nodes: PartialNode[]; output: string } => {
    const nodes: PartialNode[] = [];
    const valued: string[] = [];
    for (let at = 0; at < size; at++) {
      const id = `n${at}`;
      const source = valued.length > 0 && random(4) > 0 ? pick(valued) : undefined;
      const kind = random(10);
      if (kind === 0 && depth === 0) nodes.push(sleepNode(id, 20, source ? [source] : []));
      else {
        if (kind === 1 && depth === 0) {
          const sub = `${name}.sub${at}`;
          subs[sub] = flow(1 + random(3), depth + 1);
          nodes.push(subNode(id, sub, source));
        } else if (kind === 2 && depth === 0) nodes.push(childNode(id, pick(plans), source));
        else nodes.push(taskNode(id, pick(tasks), source));
        valued.push(id);
      }
    }
    // The output has to be somebody's.
    if (valued.length === 0) {
      nodes.push(taskNode('last', pick(tasks)));
      valued.push('last');
    }
    return { nodes, output: pick(valued) };
  };
  const { nodes, output } = flow(2 + random(7), 0);
  await registerWorkflow(services, name, nodes, { output, subs, failAfterExecutable: random(2) === 0 });
  return random(3);
}
