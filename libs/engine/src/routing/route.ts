import { failedPrecondition } from '@aloft/errors';
import {
  PluginOverride_MissingPluginBehavior as Missing,
  type PluginOverride,
} from '@aloft/idl/flyteidl/admin/matchable_resource';
import { Route, Route_By, type Routing } from '@aloft/idl/aloft/v1/routing';
import { holds, whyItHolds, type AttemptFacts } from './conditions.js';

/**
 * Where an attempt goes, without what it asks for: the first rule that holds, the run's PLUGIN_OVERRIDE for its task type (A-94), what is
 * configured for the type, who had found it to be its own, the default (C-11, U-23).
 * @throws FAILED_PRECONDITION when an override names only plugins that aren't here, and says FAIL.
 */
export function routeOf(routing: Routing, facts: AttemptFacts, overrides: readonly PluginOverride[]): Route {
  const { taskType } = facts;
  const to = (backend: string, by: Route_By, more: Partial<Route> = {}): Route =>
    Route.fromPartial({
      backend,
      by,
      waits: routing.waits,
      nativeDependencies: routing.nativeDependencies.includes(backend),
      ...more,
    });
  for (const rule of routing.rules) {
    if (!rule.then || !holds(rule.when, facts)) continue;
    const because = whyItHolds(rule.when, facts);
    return to(rule.then.backend, Route_By.RULE, { rule: rule.name, because, choice: rule.then });
  }
  const overridden = overrideOf(routing, taskType, overrides);
  if (overridden) {
    const because = `PLUGIN_OVERRIDE of task type ${taskType}: plugin ${overridden.plugin}`;
    return to(overridden.backend, Route_By.PLUGIN_OVERRIDE, { because });
  }
  const configured = routing.byTaskType[taskType];
  if (configured !== undefined) return to(configured, Route_By.TASK_TYPE);
  const discovered = routing.discovered[taskType];
  if (discovered !== undefined) return to(discovered, Route_By.DISCOVERED);
  return to(routing.defaultBackend, Route_By.DEFAULT);
}

function overrideOf(
  { byPlugin, backends }: Routing,
  taskType: string,
  overrides: readonly PluginOverride[],
): { backend: string; plugin: string } | undefined {
  const override = overrides.find((candidate) => candidate.taskType === taskType);
  if (!override || override.pluginId.length === 0) return undefined;
  for (const plugin of override.pluginId) {
    const backend = byPlugin[plugin] ?? plugin;
    if (backends.includes(backend)) return { backend, plugin };
  }
  if (override.missingPluginBehavior !== Missing.FAIL) return undefined;
  throw failedPrecondition(
    `task type "${taskType}" is overridden to ${override.pluginId.map((id) => `"${id}"`).join(', ')}, ` +
      `none of which is a plugin here (there are: ${[...Object.keys(byPlugin), ...backends].join(', ')})`,
  );
}

/** Why it goes there, in a sentence, whoever decided. */
export function explainRoute(route: Route, taskType: string): string {
  const { backend, by } = route;
  if (by === Route_By.TASK_TYPE) return `Goes to ${backend}, which is configured for task type ${taskType}.`;
  if (by === Route_By.DISCOVERED) return `Goes to ${backend}, which has found task type ${taskType} to be its own.`;
  if (by === Route_By.DEFAULT) return `Goes to ${backend}, the default.`;
  return sentenceOf(route);
}

/** Why it goes there, in one sentence for people; empty where nobody said anything particular. */
export function sentenceOf({ backend, by, rule, because }: Route): string {
  if (by === Route_By.RULE) return `Goes to ${backend} by rule ${rule} (${because}).`;
  if (by === Route_By.PLUGIN_OVERRIDE) return `Goes to ${backend} by ${because}.`;
  return '';
}
