import { parseQuantity } from '@aloft/backend-kit';
import { invalidArgument, toAloftError } from '@aloft/errors';
import type { V1Container } from '@kubernetes/client-node';

/** Of one resource, as it was written. */
export interface Amount {
  request?: string | undefined;
  limit?: string | undefined;
}

/** What a container says of a resource. @throws as {@link said} does */
export function amountOf({ name: container, resources }: V1Container, name: string, gpu: string): Amount {
  return {
    request: said(resources?.requests?.[name], container, name, gpu),
    limit: said(resources?.limits?.[name], container, name, gpu),
  };
}

/**
 * A quantity as text; what is empty or 0 is not said, as in Flyte.
 * @throws INVALID_ARGUMENT for what is none, and for parts of a GPU: of which container and resource
 */
export function said(value: unknown, container: string, name: string, gpu: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const written = String(value as string | number);
  const amount = quantity(written, `container "${container}": ${name}`);
  if (name === gpu && !Number.isInteger(amount))
    throw invalidArgument(`container "${container}" asks for ${written} of ${name}: only whole ones can be had`);
  return amount === 0 ? undefined : written;
}

/** The container with these amounts by name, and without those of which neither is said. */
export function withAmounts(container: V1Container, amounts: ReadonlyMap<string, Amount>): V1Container {
  const requests = { ...container.resources?.requests };
  const limits = { ...container.resources?.limits };
  for (const [name, { request, limit }] of amounts) {
    put(requests, name, request);
    put(limits, name, limit);
  }
  const { requests: _, limits: __, ...more } = container.resources ?? {};
  const { resources: ___, ...rest } = container;
  const whole = { ...more, ...unlessEmpty('requests', requests), ...unlessEmpty('limits', limits) };
  return { ...rest, ...unlessEmpty('resources', whole) };
}

function put(amounts: Record<string, string>, name: string, value: string | undefined): void {
  if (value === undefined) delete amounts[name];
  else amounts[name] = value;
}

const unlessEmpty = <T extends object>(name: string, value: T): Record<string, T> =>
  Object.keys(value).length > 0 ? { [name]: value } : {};

function quantity(text: string, what: string): number {
  try {
    return parseQuantity(text);
  } catch (error) {
    throw invalidArgument(`${what}: ${toAloftError(error).message}`);
  }
}

export const isMore = (a: string, b: string): boolean => parseQuantity(a) > parseQuantity(b);

export const smaller = (value: string | undefined, bound: string | undefined): string | undefined =>
  value !== undefined && bound !== undefined && isMore(value, bound) ? bound : value;

/** For people; empty if neither is said. */
export const between = ({ request, limit }: Amount): string =>
  [...new Set([request, limit])].filter((text) => text !== undefined).join(' to ');
