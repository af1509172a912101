import type { Resource } from './policy.js';

/**
 * What a flyteidl request is about, wherever its messages keep it: the request's own org/project/domain/name, or those of
 * its identifier (`id`, `workflowExecutionId`, `nodeExecutionId.executionId`, `dataset`, …), nearest first.
 */
export function resourceOf(request: unknown): Resource {
  const found: Resource = {};
  collect(request, found, 0);
  return found;
}

const partNames = ['org', 'project', 'domain', 'name', 'version'] as const;

/** Fields that hold an identifier, in the order in which they are believed. */
const holders = [
  'id',
  'workflowExecutionId',
  'nodeExecutionId',
  'taskExecutionId',
  'executionId',
  'nodeId',
  'node',
  'uniqueParentId',
  'dataset',
  'datasetId',
  'reservationId',
  'artifact',
  'tag',
  'attributes',
  'event',
] as const;

function collect(value: unknown, found: Resource, depth: number): void {
  if (typeof value !== 'object' || value === null || depth > 4) return;
  const message = value as Record<string, unknown>;
  for (const part of partNames) {
    const own = message[part];
    if (found[part] === undefined && typeof own === 'string' && own !== '') found[part] = own;
  }
  for (const holder of holders) collect(message[holder], found, depth + 1);
}
