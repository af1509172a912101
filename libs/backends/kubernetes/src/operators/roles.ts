import type { K8sPod, Resources } from '@aloft/idl/flyteidl/core/tasks';
import type { V1Container, V1EnvVar, V1PodSpec, V1PodTemplateSpec } from '@kubernetes/client-node';
import type { Launch } from '../kind.js';
import { defaultPrimary, podOf } from '../pod/build-pod.js';
import { merged } from '../pod/merge.js';
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
  /** Beside that of the task, which goes before it. */
  env?: readonly V1EnvVar[];
  /** Roles that a job does not survive keep off spot capacity. */
  interruptible?: boolean;
  /** The task's own pod for it, which goes before what all its roles have; its primary container is the role's. */
  pod?: K8sPod | undefined;
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
          ...(role.env ? { env: withEnv(container.env ?? [], role.env) } : {}),
          ...(own ? { resources: resourceRequirements(role.resources, options.gpu.resource) } : {}),
        }
      : container,
  );
  // Whether a pod is started again is the role's, how long it may run the job's.
  const { restartPolicy: _, activeDeadlineSeconds: __, ...rest } = spec ?? { containers: [] };
  return ownPodOver({ ...(metadata ? { metadata } : {}), spec: { ...rest, containers } }, role);
}

function withEnv(own: readonly V1EnvVar[], env: readonly V1EnvVar[]): V1EnvVar[] {
  return [...own, ...env.filter(({ name }) => !own.some((each) => each.name === name))];
}

function ownPodOver(pod: V1PodTemplateSpec, { pod: own, container }: Role): V1PodTemplateSpec {
  if (!own) return pod;
  const spec = (own.podSpec ?? {}) as Partial<V1PodSpec>;
  const containers = (spec.containers ?? []).map((each, i, { length }) =>
    each.name === own.primaryContainerName || (length === 1 && i === 0) ? { ...each, name: container } : each,
  );
  const { labels, annotations } = own.metadata ?? {};
  return {
    metadata: merged(pod.metadata ?? {}, { ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) }),
    spec: merged(pod.spec ?? { containers: [] }, { ...spec, containers }),
  };
}

/** Command and arguments of the task, as one line. */
export function commandOf({ template }: Launch): string[] {
  const target = template?.target;
  return target?.$case === 'container' ? [...target.value.command, ...target.value.args] : [];
}
