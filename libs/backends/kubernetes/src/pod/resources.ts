import {
  Resources_ResourceName as Name,
  type Resources,
  type Resources_ResourceEntry,
} from '@aloft/idl/flyteidl/core/tasks';
import type { V1Container, V1PodSpec, V1ResourceRequirements } from '@kubernetes/client-node';

/** Requests and limits as a container has them; GPUs are the resource `gpu`, in both. */
export function resourceRequirements(resources: Resources | undefined, gpu: string): V1ResourceRequirements {
  const requests = quantities(resources?.requests, gpu);
  const limits = quantities(resources?.limits, gpu);
  // Devices are not shared: a request without a limit is none.
  const devices = limits[gpu] ?? requests[gpu];
  if (devices !== undefined) requests[gpu] = limits[gpu] = devices;
  if (devices !== undefined && Number(devices) === 0) {
    delete requests[gpu];
    delete limits[gpu];
  }
  return {
    ...(Object.keys(requests).length > 0 ? { requests } : {}),
    ...(Object.keys(limits).length > 0 ? { limits } : {}),
  };
}

/** By the cluster's names. */
export function quantities(
  entries: readonly Resources_ResourceEntry[] | undefined,
  gpu: string,
): Record<string, string> {
  const names: Partial<Record<Name, string>> = {
    [Name.CPU]: 'cpu',
    [Name.MEMORY]: 'memory',
    [Name.GPU]: gpu,
    [Name.EPHEMERAL_STORAGE]: 'ephemeral-storage',
    [Name.STORAGE]: 'ephemeral-storage',
  };
  const result: Record<string, string> = {};
  for (const { name, value } of entries ?? []) {
    const key = names[name];
    if (key !== undefined && value !== '') result[key] = value;
  }
  return result;
}

/** SDKs call GPUs `gpu`, whatever the cluster calls them. */
export function withGpus(spec: V1PodSpec, gpu: string): V1PodSpec {
  const named = (amounts: Record<string, string> | undefined) =>
    amounts && Object.fromEntries(Object.entries(amounts).map(([name, value]) => [name === 'gpu' ? gpu : name, value]));
  const renamed = (container: V1Container): V1Container => {
    const { requests, limits, ...rest } = container.resources ?? {};
    if (requests?.['gpu'] === undefined && limits?.['gpu'] === undefined) return container;
    const amounts = {
      ...(requests ? { requests: named(requests)! } : {}),
      ...(limits ? { limits: named(limits)! } : {}),
    };
    return { ...container, resources: { ...rest, ...amounts } };
  };
  return {
    ...spec,
    containers: (spec.containers ?? []).map(renamed),
    ...(spec.initContainers ? { initContainers: spec.initContainers.map(renamed) } : {}),
  };
}
