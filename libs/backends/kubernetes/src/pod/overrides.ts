import type { Resources } from '@aloft/idl/flyteidl/core/tasks';
import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import type { Launch } from '../kind.js';
import { amountOf, between, said, smaller, withAmounts, type Amount } from './amounts.js';
import { primaryOf } from './build-pod.js';
import { quantities, withGpus } from './resources.js';

/** A pod task's launch with what its node says instead of its pod; `changes`: for people, as those of a `BoundObject`. */
export interface Overridden {
  launch: Launch;
  changes: string[];
}

/**
 * The primary container of a pod task gets the image of its node, and its requests and limits by the cluster's names of resources, as in Flyte.
 * Of launches without overrides, and of other tasks, nothing is changed.
 * @throws INVALID_ARGUMENT for what is no quantity
 */
export function overridden(launch: Launch, gpu: string): Overridden {
  const { template, podOverrides } = launch;
  if (template?.target?.$case !== 'k8sPod' || !podOverrides) return { launch, changes: [] };
  const { containerImage, resources } = podOverrides;
  const pod = template.target.value;
  const primary = primaryOf(launch);
  const spec = withGpus((pod.podSpec ?? { containers: [] }) as unknown as V1PodSpec, gpu);
  const changes: string[] = [];
  const containers = spec.containers.map((container) => {
    if (container.name !== primary) return container;
    const given = resources ? withResources(container, resources, gpu, changes) : container;
    return containerImage === '' ? given : { ...given, image: containerImage };
  });
  const podSpec: object = { ...spec, containers };
  const target = { $case: 'k8sPod' as const, value: { ...pod, podSpec: podSpec as Record<string, unknown> } };
  return { launch: { ...launch, template: { ...template, target } }, changes };
}

/** A request is cut to the limit, as where a container's resources are overridden; devices are not shared, they have one amount. */
function withResources(container: V1Container, resources: Resources, gpu: string, changes: string[]): V1Container {
  const requests = quantities(resources.requests, gpu);
  const limits = quantities(resources.limits, gpu);
  const amounts = new Map<string, Amount>();
  const texts: string[] = [];
  const over = (own: string | undefined, by: string | undefined, name: string) =>
    by === undefined ? own : said(by, container.name, name, gpu);
  for (const name of new Set([...Object.keys(requests), ...Object.keys(limits)])) {
    const own = amountOf(container, name, gpu);
    const limit = over(own.limit, limits[name], name);
    const request = over(own.request, requests[name], name);
    const only = limit ?? request;
    const amount = name === gpu ? { request: only, limit: only } : { request: smaller(request, limit), limit };
    amounts.set(name, amount);
    const text = changeOf(name, own, amount, request);
    if (text !== undefined) texts.push(text);
  }
  if (texts.length > 0) changes.push(`${container.name} asks for ${texts.join('; ')}, as its node overrides it`);
  return withAmounts(container, amounts);
}

function changeOf(name: string, own: Amount, amount: Amount, wanted: string | undefined): string | undefined {
  const isCut = wanted !== undefined && wanted !== amount.request;
  const [had, has] = [between(own), between(amount)];
  if (had === has && !isCut) return undefined;
  const instead = had === '' ? '' : ` instead of ${had}`;
  const cut = isCut ? ` (a request of ${wanted} is above its limit)` : '';
  return `${has === '' ? `no ${name}` : `${name} ${has}`}${instead}${cut}`;
}
