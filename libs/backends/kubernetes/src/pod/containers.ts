import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node';

/** All that is known of a pod's containers, init containers first. */
export function statusesOf({ status }: V1Pod): V1ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

export function statusOf(pod: V1Pod, name: string): V1ContainerStatus | undefined {
  return statusesOf(pod).find((status) => status.name === name);
}

export function anyRuns(pod: V1Pod): boolean {
  return statusesOf(pod).some(({ state }) => state?.running !== undefined && state.running !== null);
}

/** Milliseconds of the epoch; what comes out of JSON is text whatever the types say. */
export function timeOf(time: Date | string | undefined | null): number | undefined {
  return time ? new Date(time).getTime() : undefined;
}
