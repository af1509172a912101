import { invalidArgument } from '@aloft/errors';
import type { TaskResourceSpec } from '@aloft/idl/flyteidl/admin/matchable_resource';
import { Resources_ResourceName, type Resources, type Resources_ResourceEntry } from '@aloft/idl/flyteidl/core/tasks';
import { isWholeQuantity, parseQuantity } from '../registry/quantities.js';

/** Quantities by resource; empty text = not set. */
export interface ResourceQuantities {
  cpu: string;
  gpu: string;
  memory: string;
  ephemeralStorage: string;
}

const names: Record<keyof ResourceQuantities, Resources_ResourceName> = {
  cpu: Resources_ResourceName.CPU,
  gpu: Resources_ResourceName.GPU,
  memory: Resources_ResourceName.MEMORY,
  ephemeralStorage: Resources_ResourceName.EPHEMERAL_STORAGE,
};

export function requireQuantities(spec: TaskResourceSpec | undefined, where: string): void {
  for (const part of ['cpu', 'gpu', 'memory', 'storage', 'ephemeralStorage'] as const) {
    const text = spec?.[part] ?? '';
    if (text !== '' && parseQuantity(text) === undefined) throw badQuantity(text, `${where}.${part}`);
  }
}

/** First set wins, per resource. */
export function mergeQuantities(...sources: (Partial<ResourceQuantities> | undefined)[]): ResourceQuantities {
  const first = (part: keyof ResourceQuantities) => sources.find((source) => source?.[part])?.[part] ?? '';
  return { cpu: first('cpu'), gpu: first('gpu'), memory: first('memory'), ephemeralStorage: first('ephemeralStorage') };
}

export function entriesOf(quantities: ResourceQuantities): Resources_ResourceEntry[] {
  return (Object.keys(names) as (keyof ResourceQuantities)[])
    .filter((part) => quantities[part] !== '')
    .map((part) => ({ name: names[part], value: quantities[part] }));
}

/** what a container asks for, against itself and the platform's limits (K-3). */
export function requireResources(resources: Resources | undefined, limits: ResourceQuantities, where: string): void {
  if (!resources) return;
  const requests = parseEntries(resources.requests, `${where}.requests`);
  const taskLimits = parseEntries(resources.limits, `${where}.limits`);
  for (const [part, name] of Object.entries(names) as [keyof ResourceQuantities, Resources_ResourceName][]) {
    const request = requests.get(name);
    const limit = taskLimits.get(name);
    const label = Resources_ResourceName[name].toLowerCase();
    if (request && limit && request.value > limit.value)
      throw invalidArgument(
        `${where}.requests: ${label} ${request.text} is above its limit ${limit.text}; request at most the limit`,
      );
    if (name === Resources_ResourceName.GPU) {
      for (const asked of [request, limit])
        if (asked && !isWholeQuantity(asked.value))
          throw invalidArgument(`${where}: gpu ${asked.text} must be a whole number`);
      if (request && limit && request.value !== limit.value)
        throw invalidArgument(`${where}: gpu request ${request.text} and limit ${limit.text} must be equal`);
    }
    const platform = limits[part] === '' ? undefined : parseQuantity(limits[part]);
    for (const [asked, kind] of [
      [request, 'requests'],
      [limit, 'limits'],
    ] as const)
      if (asked && platform !== undefined && asked.value > platform)
        throw invalidArgument(
          `${where}.${kind}: ${label} ${asked.text} is above the platform's limit ${limits[part]} for this project and domain`,
        );
  }
}

function parseEntries(entries: Resources_ResourceEntry[], where: string) {
  const parsed = new Map<Resources_ResourceName, { value: bigint; text: string }>();
  for (const { name, value: text } of entries) {
    const label = Resources_ResourceName[name] ?? String(name);
    if (parsed.has(name))
      throw invalidArgument(`${where}: ${label.toLowerCase()} appears twice; name each resource once`);
    const value = parseQuantity(text);
    if (value === undefined || value < 0n) throw badQuantity(text, `${where}[${label}]`);
    parsed.set(name, { value, text });
  }
  return parsed;
}

function badQuantity(text: string, where: string) {
  return invalidArgument(`${where}: ${JSON.stringify(text)} is no quantity; write e.g. 500m, 2 or 1Gi`);
}
