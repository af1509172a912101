import type { Resources } from '@aloft/idl/flyteidl/core/tasks';
import type { V1Container, V1PodTemplateSpec } from '@kubernetes/client-node';
import type { Launch } from '../kind.js';
import { defaultPrimary, podOf } from '../pod/build-pod.js';
import type { PodOptions } from '../pod/pod-options.js';
import { resourceRequirements } from '../pod/resources.js';

/** What one role of a distributed job has other than the task's own container. */
export interface Role {
  /** As the operator wants its container to be called. */
  container: string;
  image?: string;
  resources?: Resources | undefined;
  command?: readonly string[];
  args?: readonly string[];
  /** Roles that a job does not survive keep off spot capacity. */
  interruptible?: boolean;
}

/** The pod of a role: the task's, with environment, secrets and place, and what the role says instead. */
export function rolePod(launch: Launch, options: PodOptions, role: Role): V1PodTemplateSpec {
  const of = role.interruptible === undefined ? launch : { ...launch, interruptible: role.interruptible };
  const { metadata, spec } = podOf(of, options);
  const own = (role.resources?.requests.length ?? 0) + (role.resources?.limits.length ?? 0) > 0;
  const containers = (spec?.containers ?? []).map((container): V1Container =>
    container.name === defaultPrimary
      ? {
          ...container,
          name: role.container,
          ...(role.image ? { image: role.image } : {}),
          ...(role.command ? { command: [...role.command] } : {}),
          ...(role.args ? { args: [...role.args] } : {}),
          ...(own ? { resources: resourceRequirements(role.resources, options.gpu.resource) } : {}),
        }
      : container,
  );
  // Whether a pod is started again is the role's, how long it may run the job's.
  const { restartPolicy: _, activeDeadlineSeconds: __, ...rest } = spec ?? { containers: [] };
  return { ...(metadata ? { metadata } : {}), spec: { ...rest, containers } };
}

/** Command and arguments of the task, as one line. */
export function commandOf({ template }: Launch): string[] {
  const target = template?.target;
  return target?.$case === 'container' ? [...target.value.command, ...target.value.args] : [];
}
