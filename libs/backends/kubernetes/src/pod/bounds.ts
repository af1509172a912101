import { parseQuantity } from '@aloft/backend-kit';
import { invalidArgument } from '@aloft/errors';
import type { V1Container, V1ResourceRequirements } from '@kubernetes/client-node';
import type { Launch } from '../kind.js';
import { amountOf, between, isMore, smaller, withAmounts, type Amount } from './amounts.js';
import { quantities, resourceRequirements } from './resources.js';

/** What the platform gives to containers and allows them (S-27, C-180), by the cluster's names of resources. */
export interface Bounds {
  defaults: V1ResourceRequirements;
  limits: Readonly<Record<string, string>>;
  /** C-36: how many times its memory a retry gets. */
  memoryFactor: number;
  /** The resource that stands for GPUs. */
  gpu: string;
}

/** `task`: does the task's work, and gets defaults; `beside` it: is only kept within the limits, as in Flyte. */
export type Part = 'task' | 'beside';

/** A container within the bounds, and what was changed of it, for people. */
export interface Bounded {
  container: V1Container;
  changes: string[];
}

export function boundsOf({ resourceBounds }: Pick<Launch, 'resourceBounds'>, gpu: string): Bounds {
  const { defaults, limits, memoryFactor = 1 } = resourceBounds ?? {};
  return {
    defaults: resourceRequirements(defaults, gpu),
    limits: quantities(limits, gpu),
    memoryFactor: Math.max(memoryFactor, 1),
    gpu,
  };
}

/**
 * Flyte's order: an absent request takes the limit, else the platform's default; an absent limit takes the request; then both are cut to what the
 * platform allows. Texts that are not changed stay as they were written.
 * @throws INVALID_ARGUMENT for amounts that no container can have: which container, which resource, what it asks for, what would be right
 */
export function bounded(container: V1Container, part: Part, bounds: Bounds): Bounded {
  const amounts = new Map<string, Amount>();
  const changes: string[] = [];
  for (const name of ['cpu', 'memory', 'ephemeral-storage', bounds.gpu]) {
    const asked = askedFor(container, name, bounds.gpu);
    const raised = part === 'task' && name === 'memory' ? times(asked, bounds.memoryFactor) : asked;
    const given = cut(part === 'task' ? filled(raised, name, bounds) : raised, bounds.limits[name]);
    amounts.set(name, given);
    const change = changeOf(name, asked, given, bounds.limits[name]);
    if (change !== undefined) changes.push(change);
  }
  return { container: withAmounts(container, amounts), changes };
}

/** What a container says of a resource. */
function askedFor(container: V1Container, name: string, gpu: string): Amount {
  const asked = amountOf(container, name, gpu);
  const { request, limit } = asked;
  if (request !== undefined && limit !== undefined && isMore(request, limit))
    throw invalidArgument(
      `container "${container.name}" requests ${request} of ${name} and allows itself only ${limit}: a request cannot be above its limit`,
    );
  // Devices are not shared: what is requested is the limit.
  return name === gpu ? { request: limit ?? request, limit: limit ?? request } : asked;
}

function filled({ request, limit }: Amount, name: string, { defaults }: Bounds): Amount {
  const isDefaulted = name === 'cpu' || name === 'memory';
  const nothing = request === undefined && limit === undefined;
  if (nothing && !isDefaulted) return {};
  const least = request ?? limit ?? defaults.requests?.[name];
  if (least === undefined) return {};
  return { request: least, limit: limit ?? (nothing ? (defaults.limits?.[name] ?? least) : least) };
}

function cut({ request, limit }: Amount, allowed: string | undefined): Amount {
  const most = smaller(limit, allowed);
  return { request: smaller(smaller(request, allowed), most), limit: most };
}

const mebi = 2 ** 20;

function times({ request, limit }: Amount, factor: number): Amount {
  const of = (text: string | undefined) =>
    text === undefined || factor <= 1 ? text : `${Math.ceil((parseQuantity(text) * factor) / mebi)}Mi`;
  return { request: of(request), limit: of(limit) };
}

function changeOf(name: string, asked: Amount, given: Amount, allowed = ''): string | undefined {
  const [had, has] = [asked.limit ?? asked.request, given.limit ?? given.request];
  if (has === undefined) return undefined;
  if (had === undefined) return `${name} ${between(given)} by default`;
  if (isMore(had, has)) return `${name} ${has} instead of ${had}, since the platform allows ${allowed}`;
  if (isMore(has, had)) return `${name} ${has} instead of ${had}, since it was out of memory`;
  return undefined;
}
