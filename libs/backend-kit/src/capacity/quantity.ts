import { invalidArgument } from '@aloft/errors';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { type Resources_ResourceEntry, Resources_ResourceName as Name } from '@aloft/idl/flyteidl/core/tasks';

const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A Kubernetes quantity (`500m`, `2`, `1.5Gi`, `1e3`) as a number of its base unit; INVALID_ARGUMENT if it is none. */
export function parseQuantity(text: string): number {
  const match = /^\+?(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/.exec(text.trim());
  if (!match)
    throw invalidArgument(`"${text}" is not a quantity: write a number with an optional unit, as 500m, 2 or 1.5Gi`);
  const [, digits, exponent, unit] = match;
  return exponent === undefined
    ? Number(digits) * (factors[unit ?? ''] as number)
    : Number(digits) * 10 ** Number(exponent);
}

/** What an attempt takes of its backend's capacity, in integers so that sums stay exact. */
export interface ResourceRequest {
  milliCpu: number;
  memoryBytes: number;
  gpu: number;
}

/** Bounds that a backend enforces on one attempt; `undefined` = none. */
export interface ResourceLimits {
  milliCpu: number | undefined;
  memoryBytes: number | undefined;
}

function amount(entries: readonly Resources_ResourceEntry[] | undefined, name: Name): number | undefined {
  const entry = entries?.find((candidate) => candidate.name === name);
  if (entry === undefined || entry.value === '') return undefined;
  try {
    return parseQuantity(entry.value);
  } catch (error) {
    throw invalidArgument(`resources: ${Name[name].toLowerCase()}: ${(error as Error).message}`);
  }
}

/** As Kubernetes does it: where only a limit is given it is the request too (S-8, S-27). */
export function requestOf(launch: LaunchTask): ResourceRequest {
  const { requests, limits } = launch.resources ?? {};
  const of = (name: Name) => amount(requests, name) ?? amount(limits, name) ?? 0;
  return {
    milliCpu: Math.ceil(of(Name.CPU) * 1000),
    memoryBytes: Math.ceil(of(Name.MEMORY)),
    gpu: Math.ceil(of(Name.GPU)),
  };
}

/** Memory is bounded by the limit, or by the request where no limit is given. */
export function limitsOf(launch: LaunchTask): ResourceLimits {
  const { requests, limits } = launch.resources ?? {};
  const cpu = amount(limits, Name.CPU);
  const memory = amount(limits, Name.MEMORY) ?? amount(requests, Name.MEMORY);
  return {
    milliCpu: cpu === undefined ? undefined : Math.ceil(cpu * 1000),
    memoryBytes: memory === undefined || memory === 0 ? undefined : Math.ceil(memory),
  };
}

/** `1536Mi`, `2Gi`: for messages. */
export function formatBytes(bytes: number): string {
  for (const [unit, factor] of [
    ['Gi', 2 ** 30],
    ['Mi', 2 ** 20],
    ['Ki', 2 ** 10],
  ] as const)
    if (bytes >= factor && (bytes % factor === 0 || bytes >= 10 * factor))
      return `${Number((bytes / factor).toFixed(1))}${unit}`;
  return `${bytes}`;
}
