import type { Secret } from '@aloft/idl/flyteidl/core/security';
import type { Container, Resources } from '@aloft/idl/flyteidl/core/tasks';
import type { V1Container, V1EnvVar, V1PodSpec, V1PodTemplateSpec } from '@kubernetes/client-node';
import type { Launch } from '../kind.js';
import { merged } from './merge.js';
import type { PodOptions } from './pod-options.js';
import { resourceRequirements, withGpus } from './resources.js';
import { scheduling, withRequirements } from './scheduling.js';
import { secretMounts, type SecretMounts } from './secrets.js';

/** What a task's container is called, where the task does not say: pods of container tasks have one. */
export const defaultPrimary = 'main';

/** The container whose end is the attempt's; `undefined` if the task's pod does not say which it is. */
export function primaryOf({ template }: Pick<Launch, 'template'>): string | undefined {
  if (template?.target?.$case === 'container') return defaultPrimary;
  if (template?.target?.$case !== 'k8sPod') return undefined;
  const named = template.target.value.primaryContainerName || template.config['primary_container_name'];
  if (named) return named;
  const { containers = [] } = (template.target.value.podSpec ?? {}) as Partial<V1PodSpec>;
  return containers.length === 1 ? containers[0]?.name : undefined;
}

/** The pod of a container or pod task, before it is laid on a PodTemplate. Pure. */
export function podOf(launch: Launch, options: PodOptions): V1PodTemplateSpec {
  const secrets = secretMounts(secretsOf(launch));
  const { metadata, spec } = ownPod(launch, options);
  const containers = spec.containers.map((container) => equipped(container, launch, options, secrets));
  const initContainers = spec.initContainers?.map((container) => equipped(container, launch, options, secrets));
  const shared = sharedMemory(launch);
  const whole: V1PodSpec = {
    ...spec,
    restartPolicy: 'Never',
    containers: shared ? containers.map((each) => withMount(each, primaryOf(launch), shared)) : containers,
    ...(initContainers ? { initContainers } : {}),
    volumes: [...(spec.volumes ?? []), ...secrets.volumes, ...(shared ? [shared.volume] : [])],
  };
  return {
    metadata: metadataOf(launch, metadata, options),
    spec: settled(whole, launch, options),
  };
}

function ownPod(launch: Launch, options: PodOptions): Required<Pick<V1PodTemplateSpec, 'spec'>> & V1PodTemplateSpec {
  const target = launch.template?.target;
  if (target?.$case === 'k8sPod') {
    const { podSpec, metadata } = target.value;
    const spec = (podSpec ?? { containers: [] }) as unknown as V1PodSpec;
    return { spec: withGpus(spec, options.gpu.resource), ...(metadata ? { metadata } : {}) };
  }
  const container = target?.$case === 'container' ? target.value : undefined;
  const { image = '', command = [], args = [], ports = [] } = container ?? {};
  const main: V1Container = {
    name: defaultPrimary,
    image,
    ...(command.length > 0 ? { command } : {}),
    ...(args.length > 0 ? { args } : {}),
    ...(ports.length > 0
      ? { ports: ports.map(({ containerPort, name }) => ({ containerPort, ...(name ? { name } : {}) })) }
      : {}),
    resources: resourceRequirements(resourcesOf(launch, container), options.gpu.resource),
  };
  return { spec: { containers: [main] } };
}

/** What the task itself says, where the bounds that all containers are kept in come with the launch. */
function resourcesOf({ resources, resourceBounds }: Launch, container: Container | undefined): Resources | undefined {
  return resourceBounds ? container?.resources : resources;
}

/** What every container of an attempt gets: the launch's environment, secrets, and its last words where it fails. */
function equipped(container: V1Container, launch: Launch, options: PodOptions, secrets: SecretMounts): V1Container {
  const env = new Map<string, V1EnvVar>();
  for (const [name, value] of Object.entries(options.env)) env.set(name, { name, value });
  for (const { key, value } of launch.env) env.set(key, { name: key, value });
  for (const each of [...(container.env ?? []), ...secrets.env]) env.set(each.name, each);
  return {
    ...container,
    env: [...env.values()],
    ...(secrets.mounts.length > 0 ? { volumeMounts: [...(container.volumeMounts ?? []), ...secrets.mounts] } : {}),
    terminationMessagePolicy: container.terminationMessagePolicy ?? 'FallbackToLogsOnError',
    ...(options.imagePullPolicy && !container.imagePullPolicy ? { imagePullPolicy: options.imagePullPolicy } : {}),
  };
}

function metadataOf(launch: Launch, own: V1PodTemplateSpec['metadata'], options: PodOptions) {
  const { labels, annotations, placement, securityContext } = launch;
  const queue = options.queueLabel && placement?.queue ? { [options.queueLabel]: placement.queue } : {};
  const role = securityContext?.runAs?.iamRole;
  return {
    labels: { ...options.labels, ...queue, ...own?.labels, ...labels },
    annotations: {
      ...options.annotations,
      ...own?.annotations,
      ...annotations,
      ...(role ? { [options.iamRoleAnnotation]: role } : {}),
    },
  };
}

/** Where it may run, as whom, and for how long; what the task's own pod says stands beside it. */
function settled(spec: V1PodSpec, launch: Launch, options: PodOptions): V1PodSpec {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  const asked = new Set(
    containers.flatMap(({ resources }) => Object.keys({ ...resources?.requests, ...resources?.limits })),
  );
  const { affinity, ...place } = scheduling(launch, asked, options);
  const account = launch.securityContext?.runAs?.k8sServiceAccount || spec.serviceAccountName || options.serviceAccount;
  const timeout = launch.executionTimeout;
  const seconds = timeout ? Number(timeout.seconds) + timeout.nanos / 1e9 : 0;
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms[0];
  const whole: V1PodSpec = {
    ...merged(place as V1PodSpec, spec),
    ...(account ? { serviceAccountName: account } : {}),
    ...(options.imagePullSecrets.length > 0
      ? { imagePullSecrets: [...(spec.imagePullSecrets ?? []), ...options.imagePullSecrets.map((name) => ({ name }))] }
      : {}),
    ...(seconds > 0 && spec.activeDeadlineSeconds === undefined
      ? { activeDeadlineSeconds: Math.ceil(seconds) + options.deadlineSlackSeconds }
      : {}),
  };
  // A task's own affinity stays; what is required of every node of this class is required besides.
  const both = spec.affinity ? withRequirements(spec.affinity, required?.matchExpressions ?? []) : affinity;
  return both ? { ...whole, affinity: both } : whole;
}

function secretsOf(launch: Launch): Secret[] {
  // The launch's context has the template's secrets merged in; not all launches come from there.
  const all = [...(launch.securityContext?.secrets ?? []), ...(launch.template?.securityContext?.secrets ?? [])];
  const byKey = new Map(
    all.map((secret) => [JSON.stringify([secret.group, secret.key, secret.mountRequirement, secret.envVar]), secret]),
  );
  return [...byKey.values()];
}

function sharedMemory({ template }: Launch) {
  const memory = template?.extendedResources?.sharedMemory;
  if (!memory) return undefined;
  const name = memory.mountName || 'shared-memory';
  const sizeLimit = memory.sizeLimit ? { sizeLimit: memory.sizeLimit } : {};
  return {
    volume: { name, emptyDir: { medium: 'Memory', ...sizeLimit } },
    mount: { name, mountPath: memory.mountPath || '/dev/shm' },
  };
}

function withMount(
  container: V1Container,
  primary: string | undefined,
  { mount }: NonNullable<ReturnType<typeof sharedMemory>>,
) {
  if (container.name !== primary) return container;
  return { ...container, volumeMounts: [...(container.volumeMounts ?? []), mount] };
}
