import { RayJob } from '@aloft/idl/flyteidl/plugins/ray';
import type { K8sPod } from '@aloft/idl/flyteidl/core/tasks';
import type { V1PodSpec, V1PodTemplateSpec } from '@kubernetes/client-node';
import type { Launch } from '../kind.js';
import { merged } from '../pod/merge.js';
import type { PodOptions } from '../pod/pod-options.js';
import type { JobState, Operator } from './operator-kind.js';
import { commandOf, rolePod } from './roles.js';

/** C-182: a RayJob of KubeRay: the cluster of the task, and its command as the job's entrypoint. */
export const rayOperator: Operator = {
  types: ['ray'],
  resource: { apiVersion: 'ray.io/v1', kind: 'RayJob', plural: 'rayjobs' },
  spec(launch, options) {
    const job = RayJob.fromJSON(launch.template?.custom ?? {});
    const { headGroupSpec: head, workerGroupSpec: groups = [], enableAutoscaling } = job.rayCluster ?? {};
    return {
      entrypoint: commandOf(launch).map(quoted).join(' '),
      shutdownAfterJobFinishes: job.shutdownAfterJobFinishes,
      ...(job.ttlSecondsAfterFinished > 0 ? { ttlSecondsAfterFinished: job.ttlSecondsAfterFinished } : {}),
      ...(job.runtimeEnvYaml ? { runtimeEnvYAML: job.runtimeEnvYaml } : {}),
      // Attempts are the engine's.
      backoffLimit: 0,
      rayClusterSpec: {
        ...(enableAutoscaling ? { enableInTreeAutoscaling: true } : {}),
        headGroupSpec: {
          rayStartParams: { 'dashboard-host': '0.0.0.0', ...head?.rayStartParams },
          template: groupPod(launch, options, 'ray-head', head?.k8sPod, false),
        },
        workerGroupSpecs: groups.map((group) => ({
          groupName: group.groupName,
          replicas: group.replicas,
          minReplicas: group.minReplicas || group.replicas,
          maxReplicas: group.maxReplicas || group.replicas,
          rayStartParams: group.rayStartParams,
          template: groupPod(launch, options, 'ray-worker', group.k8sPod, undefined),
        })),
      },
    };
  },
  state: stateOf,
};

/** Ray starts its own processes in the pods: the task's command is the job's. */
function groupPod(
  launch: Launch,
  options: PodOptions,
  container: string,
  own: K8sPod | undefined,
  interruptible: boolean | undefined,
): V1PodTemplateSpec {
  const pod = rolePod(launch, options, { container, ...(interruptible === undefined ? {} : { interruptible }) });
  const [first, ...others] = pod.spec?.containers ?? [];
  const { command: _, args: __, ...ray } = first ?? { name: container };
  const base = { ...pod, spec: { ...pod.spec, containers: [ray, ...others] } };
  const spec = own?.podSpec as unknown as V1PodSpec | undefined;
  if (!spec) return base;
  const containers = spec.containers.map((each, i) => (i === 0 ? { ...each, name: container } : each));
  return {
    metadata: merged(base.metadata, own?.metadata as V1PodTemplateSpec['metadata']),
    spec: merged(base.spec, { ...spec, containers }),
  };
}

/** One word of a shell's command line. */
const quoted = (word: string): string => (/^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replace(/'/g, `'\\''`)}'`);

function stateOf(status: Record<string, unknown>): JobState {
  const {
    jobStatus = '',
    jobDeploymentStatus = '',
    dashboardURL,
    message,
    startTime,
    endTime,
  } = status as Record<string, string | undefined>;
  const links = dashboardURL
    ? [{ name: 'Ray dashboard', uri: /^https?:/.test(dashboardURL) ? dashboardURL : `http://${dashboardURL}` }]
    : [];
  const more = { message, links, startedAt: startTime, endedAt: endTime };
  if (jobStatus === 'SUCCEEDED') return { phase: 'succeeded', ...more };
  if (jobStatus === 'FAILED' || jobStatus === 'STOPPED') return { phase: 'failed', ...more };
  if (jobDeploymentStatus === 'Failed') return { phase: 'broken', ...more };
  if (jobDeploymentStatus === 'Suspended') return { phase: 'waiting', ...more };
  if (jobStatus === 'RUNNING') return { phase: 'running', ...more };
  return { phase: 'starting', ...more };
}
