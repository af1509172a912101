import type { ExecutionSettings, ResourceBounds } from '@aloft/idl/aloft/v1/bus';

/** What the run's settings give to containers that only its backend knows, and allow them (S-27); `undefined`: nothing. */
export function boundsOf(settings: ExecutionSettings, memoryFactor: number): ResourceBounds | undefined {
  const { taskResourceDefaults: defaults, taskResourceLimits: limits } = settings;
  const gives = (defaults?.requests.length ?? 0) + (defaults?.limits.length ?? 0) > 0;
  return gives || limits.length > 0 || memoryFactor > 1 ? { defaults, limits, memoryFactor } : undefined;
}
