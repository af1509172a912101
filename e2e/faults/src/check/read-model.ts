import type { NodeRecord, RunRecord } from '../evidence/evidence.js';
import type { Violation } from './violation.js';
import type { Start } from './starts.js';

const endedNode = new Set(['SUCCEEDED', 'FAILED', 'ABORTED', 'SKIPPED', 'TIMED_OUT', 'RECOVERED']);
const endedTask = new Set(['SUCCEEDED', 'FAILED', 'ABORTED', 'RETRYABLE_FAILED']);

/** What the API shows of an ended run against what its tasks wrote themselves. */
export function checkReadModel(run: RunRecord, steps: ReadonlyMap<string, Start[]>): Violation[] {
  const found: Violation[] = [];
  const report = (text: string) => found.push({ rule: 'read model', run: run.name, text });
  const nodes = new Map<string, NodeRecord>();
  for (const node of run.nodes) {
    nodes.set(node.step, node);
    if (!endedNode.has(node.phase)) report(`node ${node.id} is ${node.phase} in a run that has ended`);
    for (const { attempt, phase } of node.tasks)
      if (!endedTask.has(phase)) report(`task ${node.id} attempt ${attempt} is ${phase} in a run that has ended`);
    if (node.tasks.filter(({ phase }) => phase === 'SUCCEEDED').length > 1)
      report(`node ${node.id} has more than one attempt that succeeded`);
    for (const { attempt, phase, items } of node.tasks)
      if (items) {
        for (const item of items)
          if (item.phase === 'SUCCEEDED' && !good(steps.get(`${node.step}[${item.index}]`), item.attempt))
            report(`item ${item.index} of ${node.id} succeeded in attempt ${item.attempt}, which wrote no good end`);
      } else if (phase === 'SUCCEEDED' && !good(steps.get(node.step), attempt))
        report(`node ${node.id} succeeded in attempt ${attempt}, which wrote no good end`);
  }
  for (const starts of steps.values())
    for (const { mark } of starts) {
      const node = nodes.get(mark.step);
      if (!node) report(`step ${mark.step} ran, but the API has no node of it`);
      else if (mark.index === undefined) {
        if (!node.tasks.some(({ attempt }) => attempt === mark.attempt))
          report(`step ${mark.step} ran in attempt ${mark.attempt}, of which the API has no task execution`);
      } else if (!node.tasks.some(({ items }) => items?.some(({ index }) => index === mark.index)))
        report(`item ${mark.index} of step ${mark.step} ran, but the API does not know it`);
    }
  return found;
}

function good(starts: readonly Start[] | undefined, attempt: number): boolean {
  return starts?.some(({ mark, end }) => mark.attempt === attempt && end?.outcome === 'ok') ?? false;
}
