import { dataPlaceOf, logLinks, type LogTemplate } from '@aloft/backend-kit';
import type { LaunchTask, TaskUsage } from '@aloft/idl/aloft/v1/bus';
import type { TaskLog } from '@aloft/idl/flyteidl/core/execution';
import type { V1Container, V1ContainerStatus, V1Pod, V1PodStatus } from '@kubernetes/client-node';
import { type ClusterObject, pods } from '../cluster/resource.js';
import type { Launch, ObjectKind, Place, Sight } from '../kind.js';
import type { PodValues } from '../log-links.js';
import { podOf, primaryOf } from './build-pod.js';
import { anyRuns, statusOf, timeOf } from './containers.js';
import { isOver } from './diagnosis.js';
import { lookAt } from './look.js';
import type { PodOptions } from './pod-options.js';
import { usageOf } from './usage.js';
import { annotationOf, boundPod, impossible, withChanges } from './bound-object.js';
import { boundsOf } from './bounds.js';
import { dataContainers, refuseRaw, withData } from './raw-container.js';
import { overridden } from './overrides.js';
import { onTemplate, PodTemplates } from './pod-templates.js';

/** Container, Python and pod tasks as pods (C-180). */
export class PodKind implements ObjectKind {
  readonly resource = pods;
  private readonly templates = new PodTemplates();

  constructor(
    private readonly options: PodOptions,
    /** Task types that need an operator's object, and there is none here. */
    private readonly needOperators: readonly string[] = [],
  ) {}

  takes({ template }: LaunchTask): boolean {
    return template?.target?.$case === 'container' || template?.target?.$case === 'k8sPod';
  }

  refuse(launch: LaunchTask): string | undefined {
    const { template } = launch;
    if (this.needOperators.includes(template?.type ?? ''))
      return `Tasks of type "${template?.type}" need their operator: say that the clusters have it (backends.kubernetes.operators.${template?.type}), or send them to another backend.`;
    const raw = refuseRaw(launch as Launch, this.options.dataSidecar);
    if (raw !== undefined) return raw;
    if (template?.target?.$case === 'container')
      return template.target.value.image === ''
        ? 'The task names no image: give it one (container_image), or a default image.'
        : undefined;
    const spec =
      template?.target?.$case === 'k8sPod'
        ? (template.target.value.podSpec as { containers?: V1Container[] } | undefined)
        : undefined;
    const names = (spec?.containers ?? []).map(({ name }) => name);
    const primary = primaryOf(launch as Launch);
    if (primary === undefined)
      return `The task's pod has ${names.length} containers (${names.join(', ')}) and does not say whose end is the task's: set primary_container_name.`;
    if (!names.includes(primary))
      return `The task's pod has no container "${primary}", which it names as its primary one; it has ${names.join(', ') || 'none'}.`;
    const gpu = this.options.gpu.resource;
    return impossible(() => {
      const { launch: whole } = overridden(launch as Launch, gpu);
      return boundPod(podOf(whole, this.options).spec!, primary, boundsOf(launch, gpu));
    });
  }

  async build(given: Launch, { client, namespace }: Place): Promise<ClusterObject> {
    const { podTemplate, podTemplateNamespace, gpu, dataSidecar } = this.options;
    const { launch, changes: overrides } = overridden(given, gpu.resource);
    const primary = primaryOf(launch) ?? '';
    let pod = podOf(launch, this.options);
    const name = launch.template?.metadata?.podTemplateName || podTemplate;
    if (name) {
      const places = [...new Set([namespace, podTemplateNamespace ?? namespace])];
      pod = onTemplate(await this.templates.find(client, name, places), pod, primary);
    }
    const { object: spec, changes } = boundPod(pod.spec ?? { containers: [] }, primary, boundsOf(launch, gpu.resource));
    const { metadata } = pod;
    return {
      metadata: { ...metadata, annotations: { ...metadata?.annotations, ...annotationOf([...overrides, ...changes]) } },
      spec: withData(launch, spec, primary, dataSidecar),
    };
  }

  look(object: ClusterObject, launch: Launch, now: number): Sight {
    const pod = object as V1Pod;
    const primary = primaryOf(launch) ?? '';
    const logs = podLogs(pod, launch, primary, this.options.logs);
    const data = dataPlaceOf(launch) ? dataContainers : undefined;
    const watched = { primary, last: data?.after ?? primary, first: data?.before };
    return withChanges(object, lookAt(pod, launch, now, watched, this.options, logs));
  }

  useUntil(object: ClusterObject, launch: Launch, at: number): TaskUsage | undefined {
    const pod = object as V1Pod;
    const began = timeOf(statusOf(pod, primaryOf(launch) ?? '')?.state?.running?.startedAt);
    return began === undefined ? undefined : usageOf(pod, began, at);
  }

  slim(object: ClusterObject): ClusterObject {
    return slimPod(object as V1Pod);
  }

  endedWell(object: ClusterObject): boolean {
    return (object as V1Pod).status?.phase === 'Succeeded';
  }

  lingers(object: ClusterObject): boolean {
    const pod = object as V1Pod;
    return !isOver(pod) || anyRuns(pod);
  }
}

/** Without what nobody reads: most of a pod is how it was to be made, or of containers that live longer than a task's. */
export function slimPod({ apiVersion, kind, metadata, spec, status }: V1Pod): V1Pod {
  const { managedFields: _, ...rest } = metadata ?? {};
  const container = ({ name, resources }: V1Container): V1Container => ({ name, ...(resources ? { resources } : {}) });
  return {
    ...(apiVersion ? { apiVersion } : {}),
    ...(kind ? { kind } : {}),
    metadata: rest,
    spec: {
      containers: (spec?.containers ?? []).map(container),
      ...(spec?.initContainers ? { initContainers: spec.initContainers.map(container) } : {}),
      ...(spec?.nodeName ? { nodeName: spec.nodeName } : {}),
    },
    ...(status ? { status: slimStatus(status) } : {}),
  };
}

function slimStatus(status: V1PodStatus): V1PodStatus {
  const { phase, reason, message, startTime, conditions, containerStatuses, initContainerStatuses } = status;
  const slim: V1PodStatus = {};
  if (phase) slim.phase = phase;
  if (reason) slim.reason = reason;
  if (message) slim.message = message;
  if (startTime) slim.startTime = startTime;
  if (conditions) slim.conditions = conditions.filter(({ type }) => readConditions.has(type));
  if (containerStatuses) slim.containerStatuses = containerStatuses.map(slimContainer);
  if (initContainerStatuses) slim.initContainerStatuses = initContainerStatuses.map(slimContainer);
  return slim;
}

const readConditions: ReadonlySet<string> = new Set(['PodScheduled', 'DisruptionTarget']);

function slimContainer({ name, image, containerID, state, ready, restartCount }: V1ContainerStatus) {
  const slim: V1ContainerStatus = { name, image, imageID: '', ready, restartCount };
  if (containerID) slim.containerID = containerID;
  if (state) slim.state = state;
  return slim;
}

/** Links to the output of a pod's container. */
export function podLogs(
  pod: V1Pod,
  launch: Launch,
  containerName: string,
  templates: readonly LogTemplate[],
): TaskLog[] {
  if (templates.length === 0) return [];
  const status = statusOf(pod, containerName);
  const began = timeOf(pod.status?.startTime) ?? timeOf(pod.metadata?.creationTimestamp);
  const ended = timeOf(status?.state?.terminated?.finishedAt);
  const rfc3339 = (ms: number | undefined) =>
    ms === undefined ? '' : new Date(ms).toISOString().replace('.000Z', 'Z');
  const unix = (ms: number | undefined) => (ms === undefined ? '' : String(Math.floor(ms / 1000)));
  const { metadata } = pod;
  const values: PodValues = {
    podName: metadata?.name ?? '',
    podUID: metadata?.uid ?? '',
    namespace: metadata?.namespace ?? '',
    containerName,
    containerId: (status?.containerID ?? '').replace(/^\w+:\/\//, ''),
    hostname: pod.spec?.nodeName ?? '',
    podRFC3339StartTime: rfc3339(began),
    podRFC3339FinishTime: rfc3339(ended),
    podUnixStartTime: unix(began),
    podUnixFinishTime: unix(ended),
  };
  return logLinks(templates, launch, values);
}
