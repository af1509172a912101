import {
  Resources_ResourceName as Name,
  type Resources,
  type Resources_ResourceEntry,
} from '@aloft/idl/flyteidl/core/tasks';
import type { V1ResourceRequirements } from '@kubernetes/client-node';

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
