import { toAloftError } from '@aloft/errors';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import type { ClusterObject } from '../cluster/resource.js';
import type { Sight } from '../kind.js';
import { bounded, type Bounds, type Part } from './bounds.js';

/** Says what an attempt's containers have got otherwise than they asked for, and why. */
export const resourcesAnnotation = 'aloft.dev/resources';

/** Where objects have lists of containers; `sidecars` is the Spark operator's. */
const lists: ReadonlySet<string> = new Set(['containers', 'initContainers', 'sidecars']);

/** `changes`: one text for each container that got something else than it asked for. */
export interface BoundObject<T> {
  object: T;
  changes: string[];
}

/** A pod whose containers are within the bounds. @throws INVALID_ARGUMENT as `bounded` does */
export function boundPod(spec: V1PodSpec, primary: string, bounds: Bounds): BoundObject<V1PodSpec> {
  return boundAll(spec, (name, list) => (list === 'containers' && name === primary ? 'task' : 'beside'), bounds);
}

/** An operator's object, wherever it has containers: each role has what it says itself, and no more than is allowed. */
export function boundRoles<T extends object>(object: T, bounds: Bounds): BoundObject<T> {
  return boundAll(object, () => 'beside', bounds);
}

function boundAll<T extends object>(whole: T, partOf: (name: string, list: string) => Part, bounds: Bounds) {
  const changes: string[] = [];
  const one = (container: V1Container, list: string): V1Container => {
    const { container: within, changes: own } = bounded(container, partOf(container.name, list), bounds);
    if (own.length > 0) changes.push(`${container.name} has ${own.join('; ')}`);
    return within;
  };
  const each = (value: unknown, key: string): unknown => {
    if (Array.isArray(value))
      return value.map((item: unknown) => (lists.has(key) && isContainer(item) ? one(item, key) : each(item, '')));
    if (typeof value !== 'object' || value === null || value instanceof Date) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, each(item, name)]));
  };
  return { object: each(whole, '') as T, changes };
}

const isContainer = (value: unknown): value is V1Container =>
  typeof value === 'object' && value !== null && typeof (value as { name?: unknown }).name === 'string';

/** For the object's metadata. */
export function annotationOf(changes: readonly string[]): Record<string, string> {
  return changes.length > 0 ? { [resourcesAnnotation]: `Resources: ${[...new Set(changes)].join('. ')}.` } : {};
}

/**
 * The attempt's custom information has it, however soon the attempt is over; it is a reason, too, while the object is new and there is nothing else
 * to say of it.
 */
export function withChanges({ metadata }: ClusterObject, sight: Sight): Sight {
  const resources = metadata?.annotations?.[resourcesAnnotation];
  const { report } = sight;
  if (resources === undefined || !report) return sight;
  const customInfo = { ...report.customInfo, resources };
  const isNew = report.phase === Phase.INITIALIZING && report.reason === undefined;
  return { ...sight, report: { ...report, customInfo, ...(isNew ? { reason: resources } : {}) } };
}

/** What is wrong with what containers ask for, as a refusal. */
export function impossible(bind: () => unknown): string | undefined {
  try {
    bind();
    return undefined;
  } catch (error) {
    return `The task cannot be given what it asks for: ${toAloftError(error).message}.`;
  }
}
