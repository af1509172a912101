import { failedPrecondition } from '@aloft/errors';
import {
  PluginOverride_MissingPluginBehavior as Missing,
  type PluginOverride,
} from '@aloft/idl/flyteidl/admin/matchable_resource';

export interface BackendRoutes {
  /** Backend of task types that nothing else names. */
  default: string;
  /** Backends that exist: a launch for any other would wait for ever. */
  known: readonly string[];
  byTaskType: Readonly<Record<string, string>>;
  /** Plugin id (as PLUGIN_OVERRIDE attributes name them) to backend; a backend's own name is one too. */
  byPlugin: Readonly<Record<string, string>>;
  /** Backend that has found a task type to be its own, in this process. */
  discovered?: ((taskType: string) => string | undefined) | undefined;
}

/**
 * Resolves a task type to a backend: the run's overrides first, then what is configured for the type, then who says that it is
 * its own, then the default (C-11, A-94).
 * FAILED_PRECONDITION when an override names only unknown plugins and says FAIL.
 */
export function backendOf(taskType: string, routes: BackendRoutes, overrides: readonly PluginOverride[]): string {
  const override = overrides.find((candidate) => candidate.taskType === taskType);
  for (const plugin of override?.pluginId ?? []) {
    const backend = routes.byPlugin[plugin] ?? plugin;
    if (routes.known.includes(backend)) return backend;
  }
  if (override && override.pluginId.length > 0 && override.missingPluginBehavior === Missing.FAIL) {
    throw failedPrecondition(
      `task type "${taskType}" is overridden to ${override.pluginId.map((id) => `"${id}"`).join(', ')}, ` +
        `none of which is a plugin here (there are: ${[...Object.keys(routes.byPlugin), ...routes.known].join(', ')})`,
    );
  }
  return routes.byTaskType[taskType] ?? routes.discovered?.(taskType) ?? routes.default;
}
