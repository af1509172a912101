import { TaskNodeOverrides } from '@aloft/idl/flyteidl/core/workflow';
import { Behaviour, behaves } from '../behaviours.js';
import type { RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';
import { mergeResources, rerunOf, runnable, templateOf } from './task-settings.js';

/**
 * What the attempts of a pod task have otherwise than its pod says: resources and image of the primary container (S-27, C-180). Which that is, and what
 * the cluster calls a GPU, only the backend knows. The node's, then those of a person who had it run again: of each resource, and of the image, the
 * last one said. Undefined if there are none, and for tasks without a pod, whose template has them.
 */
export function podOverrides(run: RunState, scope: Scope, node: number): TaskNodeOverrides | undefined {
  if (!behaves(run, Behaviour.OverridesPods)) return undefined;
  if (templateOf(scope, node).target?.$case !== 'k8sPod') return undefined;
  const { target } = runnable(scope.template, node);
  const own = target?.$case === 'taskNode' ? target.value.overrides : undefined;
  const later = rerunOf(scope, node)?.overrides;
  const containerImage = later?.containerImage || own?.containerImage || '';
  const resources = later?.resources ? mergeResources(own?.resources, later.resources) : own?.resources;
  if (containerImage === '' && !resources) return undefined;
  return TaskNodeOverrides.create({ containerImage, resources });
}
