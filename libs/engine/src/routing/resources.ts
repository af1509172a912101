import {
  Resources_ResourceName as Name,
  type Resources,
  type Resources_ResourceEntry as Entry,
} from '@aloft/idl/flyteidl/core/tasks';
import { parseQuantity } from '@aloft/compiler';
import { invalidArgument } from '@aloft/errors';

/** Quantities that every container gets even if nobody asked; the others stay absent unless asked for. */
const defaulted: readonly Name[] = [Name.CPU, Name.MEMORY];
const names: readonly Name[] = [Name.CPU, Name.MEMORY, Name.GPU, Name.STORAGE, Name.EPHEMERAL_STORAGE];

/**
 * S-27: requests and limits as they arrive at the backend. Flyte's order: an absent request takes the limit, else the
 * platform's default; an absent limit takes the request; then the limit is cut to the platform's limit and the request to
 * the limit. The texts stay as they were written. `memoryFactor`: what a retry after out-of-memory has of it (C-36), before the cut.
 */
export function effectiveResources(
  asked: Resources | undefined,
  defaults: Resources | undefined,
  platformLimits: readonly Entry[],
  memoryFactor = 1,
): Resources {
  const requests: Entry[] = [];
  const limits: Entry[] = [];
  for (const name of names) {
    const askedRequest = valueOf(asked?.requests, name);
    const askedLimit = valueOf(asked?.limits, name);
    const mayDefault = defaulted.includes(name) || askedRequest !== undefined || askedLimit !== undefined;
    if (!mayDefault) continue;
    const request = askedRequest ?? askedLimit ?? valueOf(defaults?.requests, name);
    if (request === undefined) continue;
    const times = name === Name.MEMORY ? memoryFactor : 1;
    const limit = smaller(
      raised(
        askedLimit ?? (askedRequest === undefined ? (valueOf(defaults?.limits, name) ?? request) : request),
        times,
      ),
      valueOf(platformLimits, name),
    );
    limits.push({ name, value: limit });
    requests.push({ name, value: smaller(raised(request, times), limit) });
  }
  return { requests, limits };
}

/** In billionths. INVALID_ARGUMENT for what is no quantity. */
function quantity(text: string): bigint {
  const value = parseQuantity(text);
  if (value === undefined) {
    throw invalidArgument(`"${text}" is not a quantity: a number with an optional suffix such as 500m, 1Gi or 2e3 is`);
  }
  return value;
}

/** An empty or zero quantity counts as not given, as in Flyte. */
function valueOf(entries: readonly Entry[] | undefined, name: Name): string | undefined {
  const value = entries?.find((entry) => entry.name === name)?.value;
  return value === undefined || value === '' || quantity(value) === 0n ? undefined : value;
}

const mebi = 2n ** 20n;
const scale = 10n ** 9n;

/** The quantity so many times, in whole mebibytes, rounded up. */
function raised(value: string, times: number): string {
  if (times <= 1) return value;
  const bytes = (quantity(value) * BigInt(Math.ceil(times * 1000))) / 1000n / scale;
  return `${(bytes + mebi - 1n) / mebi}Mi`;
}

function smaller(value: string, bound: string | undefined): string {
  return bound !== undefined && quantity(value) > quantity(bound) ? bound : value;
}
