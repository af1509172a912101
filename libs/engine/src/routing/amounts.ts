import { parseQuantity } from '@aloft/compiler';
import {
  Resources_ResourceName as Name,
  type Resources,
  type Resources_ResourceEntry as Entry,
} from '@aloft/idl/flyteidl/core/tasks';

/** What an attempt asks for: thousandths of cores, bytes, whole gpus; 0 where it asks for nothing. Rounded up. */
export interface Amounts {
  cpu: bigint;
  memory: bigint;
  gpu: bigint;
}

/** parseQuantity counts billionths. */
const unitsOf = { cpu: 10n ** 6n, memory: 10n ** 9n, gpu: 10n ** 9n } as const;

export function amountsOf({ requests }: Resources): Amounts {
  return {
    cpu: amount(valueOf(requests, Name.CPU), unitsOf.cpu),
    memory: amount(valueOf(requests, Name.MEMORY), unitsOf.memory),
    gpu: amount(valueOf(requests, Name.GPU), unitsOf.gpu),
  };
}

function valueOf(entries: readonly Entry[], name: Name): string | undefined {
  return entries.find((entry) => entry.name === name)?.value;
}

function amount(text: string | undefined, unit: bigint): bigint {
  const value = text === undefined ? undefined : parseQuantity(text);
  return value === undefined || value <= 0n ? 0n : (value + unit - 1n) / unit;
}

interface PodContainer {
  resources?: { requests?: Record<string, unknown>; limits?: Record<string, unknown> };
}

/** What a pod's containers ask for together. Its gpus are whatever extended resource is called so (`nvidia.com/gpu`). */
export function resourcesOfPod(podSpec: unknown): Resources {
  const { containers } = (podSpec ?? {}) as { containers?: unknown };
  const sums = new Map<Name, bigint>();
  for (const { resources } of (Array.isArray(containers) ? containers : []) as PodContainer[]) {
    for (const [key, value] of Object.entries({ ...resources?.limits, ...resources?.requests })) {
      const name = nameOf(key);
      const quantity = parseQuantity(String(value));
      if (name !== undefined && quantity !== undefined && quantity > 0n)
        sums.set(name, (sums.get(name) ?? 0n) + quantity);
    }
  }
  const requests = [...sums].map(([name, billionths]) => ({ name, value: textOf(name, billionths) }));
  return { requests, limits: [] };
}

function nameOf(key: string): Name | undefined {
  if (key === 'cpu') return Name.CPU;
  if (key === 'memory') return Name.MEMORY;
  return key.endsWith('/gpu') ? Name.GPU : undefined;
}

function textOf(name: Name, billionths: bigint): string {
  if (name === Name.CPU) return `${(billionths + unitsOf.cpu - 1n) / unitsOf.cpu}m`;
  return String((billionths + unitsOf.memory - 1n) / unitsOf.memory);
}
