import { failedPrecondition } from '@aloft/errors';
import { Route_By, type Route } from '@aloft/idl/aloft/v1/routing';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';

/**
 * Maps of flytekit before 1.12 are one task of a type of its own (C-185), whose container does one item. Run as it stands it would fail in
 * a way that nobody understands.
 * @throws FAILED_PRECONDITION unless somebody said which backend takes this type
 */
export function refuseLegacyMap({ type, id }: TaskTemplate, route: Route | undefined): void {
  if (type !== 'container_array' || (route && route.by !== Route_By.DEFAULT)) return;
  throw failedPrecondition(
    `task ${id?.name ?? ''} is a map of the old type container_array, which no backend here runs: register it with flytekit 1.12 or ` +
      `later, whose map_task is a node of its own, or route the type to a backend that takes it`,
  );
}
