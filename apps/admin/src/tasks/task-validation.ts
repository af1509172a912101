import { taskPolicyOf } from '@aloft/engine';
import { invalidArgument } from '@aloft/errors';
import type { TaskSpec } from '@aloft/idl/flyteidl/admin/task';
import type { K8sPod, TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { requirePart } from '../registry/identifiers.js';
import { requireResources, type ResourceQuantities } from '../attributes/task-resources.js';

export interface TaskRules {
  /** Empty = every type may be registered. */
  allowedTypes: readonly string[];
  /** The platform's limits in this project and domain; empty text = none. */
  limits: ResourceQuantities;
}

/** A-10, in its order; refusals name the field, the value and what would be right (K-3, K-4). */
export function requireTask(spec: TaskSpec | undefined, rules: TaskRules): TaskTemplate {
  const template = spec?.template;
  if (!template) throw invalidArgument('spec.template: missing; a task needs its template');
  if (template.type === '')
    throw invalidArgument("spec.template.type: missing; name the task's type, e.g. python-task");
  requirePart(template.type, 'spec.template.type');
  if (rules.allowedTypes.length > 0 && !rules.allowedTypes.includes(template.type))
    throw invalidArgument(
      `spec.template.type: "${template.type}" may not be registered here; allowed are ${rules.allowedTypes.join(', ')}`,
    );
  const { metadata } = template;
  if (!metadata) throw invalidArgument('spec.template.metadata: missing');
  if (metadata.runtime && metadata.runtime.version === '')
    throw invalidArgument('spec.template.metadata.runtime.version: missing; name the version of the SDK');
  if (!template.interface)
    throw invalidArgument('spec.template.interface: missing; a task has typed inputs and outputs');
  requireTyped(template.interface.inputs?.variables, 'inputs');
  requireTyped(template.interface.outputs?.variables, 'outputs');
  const { target } = template;
  if (target?.$case === 'container') {
    if (target.value.image === '') throw invalidArgument('spec.template.container.image: missing; name an image');
    requireResources(target.value.resources, rules.limits, 'spec.template.container.resources');
  }
  if (target?.$case === 'k8sPod') requirePod(target.value);
  // C-36, C-51, C-52: what a run could not understand is refused here, not hours later.
  const { problem } = taskPolicyOf(template);
  if (problem !== undefined) throw invalidArgument(`spec.template: ${problem}`);
  return template;
}

function requireTyped(variables: Record<string, { type: unknown }> | undefined, side: 'inputs' | 'outputs'): void {
  for (const [name, variable] of Object.entries(variables ?? {}))
    if (!variable.type)
      throw invalidArgument(`spec.template.interface.${side}[${name}].type: missing; every variable has a type`);
}

function requirePod(pod: K8sPod): void {
  const containers: unknown = pod.podSpec?.containers;
  if (!Array.isArray(containers) || containers.length === 0)
    throw invalidArgument(
      'spec.template.k8s_pod.pod_spec.containers: missing; a pod spec lists at least one container',
    );
  for (const [i, container] of containers.entries()) {
    const fields = container as Record<string, unknown> | null;
    if (typeof fields?.name !== 'string' || fields.name === '')
      throw invalidArgument(
        `spec.template.k8s_pod.pod_spec.containers[${i}].name: missing; every container has a name`,
      );
  }
}
