import { parseQuantity, timestampOf } from '@aloft/backend-kit';
import type { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import type { V1Pod } from '@kubernetes/client-node';

/** What a pod held while it ran (U-25): what its containers requested, for as long. What they really used only a metrics server knows. */
export function usageOf(pod: V1Pod, startedAt: number, endedAt: number): TaskUsage {
  const seconds = Math.max(0, endedAt - startedAt) / 1000;
  return {
    cpuSeconds: requested(pod, 'cpu') * seconds,
    peakMemoryBytes: 0n,
    memoryByteSeconds: requested(pod, 'memory') * seconds,
    itemSeconds: 0,
    reserved: true,
    startedAt: timestampOf(new Date(startedAt)),
    endedAt: timestampOf(new Date(endedAt)),
  };
}

/** As the scheduler counts: all containers together, or the largest init container. */
function requested({ spec }: V1Pod, resource: string): number {
  const of = (container: { resources?: { requests?: Record<string, string> } }) => {
    const text = container.resources?.requests?.[resource];
    return text === undefined ? 0 : parseQuantity(text);
  };
  const together = (spec?.containers ?? []).reduce((sum, container) => sum + of(container), 0);
  return Math.max(together, ...(spec?.initContainers ?? []).map(of));
}
