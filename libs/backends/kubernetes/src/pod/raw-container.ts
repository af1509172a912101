import { cannotCollect, dataPlaceOf } from '@aloft/backend-kit';
import type { V1Container, V1PodSpec, V1Volume } from '@kubernetes/client-node';
import { encodeTask, taskVariable } from '../data-sidecar/task.js';
import type { Launch } from '../kind.js';

/** The containers of ours around a raw container: they bring its data and take it away. */
export const dataContainers = { before: 'aloft-data-in', after: 'aloft-data-out' } as const;

export interface DataSidecarOptions {
  /** An image with the sidecar's program; absent: raw containers with data are refused. */
  image?: string | undefined;
  /** What is started there, with `in` or `out` behind it. */
  command: string[];
  cpu: string;
  memory: string;
}

export function refuseRaw(launch: Launch, { image }: DataSidecarOptions): string | undefined {
  if (!dataPlaceOf(launch)) return undefined;
  if (image === undefined)
    return 'The task is a raw container with inputs or outputs: name the image with the platform’s data sidecar (backends.kubernetes.pods.dataSidecar.image).';
  return cannotCollect(launch);
}

/**
 * A raw container is the last of the init containers, ours that takes its outputs away is the pod's only real one: Kubernetes itself runs
 * them one after the other, and the last only if those before it ended well. Nobody has to watch for another's end.
 */
export function withData(launch: Launch, spec: V1PodSpec, primary: string, options: DataSidecarOptions): V1PodSpec {
  const place = dataPlaceOf(launch);
  if (!place || options.image === undefined) return spec;
  const volumes: V1Volume[] = [
    { name: 'aloft-inputs', emptyDir: {} },
    { name: 'aloft-outputs', emptyDir: {} },
  ];
  const volumeMounts = [
    { name: 'aloft-inputs', mountPath: place.inputs },
    { name: 'aloft-outputs', mountPath: place.outputs },
  ];
  const amounts = { cpu: options.cpu, memory: options.memory };
  const ours = (name: string, direction: 'in' | 'out', like: V1Container | undefined): V1Container => ({
    name,
    image: options.image as string,
    command: [...options.command, direction],
    env: [
      ...(like?.env ?? []).filter(({ name }) => /^(FLYTE_)?AWS_/.test(name)),
      { name: taskVariable, value: encodeTask(launch) },
    ],
    resources: { requests: amounts, limits: { memory: options.memory } },
    volumeMounts,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...(like?.imagePullPolicy ? { imagePullPolicy: like.imagePullPolicy } : {}),
  });
  const main = spec.containers.find(({ name }) => name === primary);
  if (!main) return spec;
  const equipped = { ...main, volumeMounts: [...(main.volumeMounts ?? []), ...volumeMounts] };
  return {
    ...spec,
    initContainers: [...(spec.initContainers ?? []), ours(dataContainers.before, 'in', main), equipped],
    containers: [ours(dataContainers.after, 'out', main), ...spec.containers.filter(({ name }) => name !== primary)],
    volumes: [...(spec.volumes ?? []), ...volumes],
  };
}
