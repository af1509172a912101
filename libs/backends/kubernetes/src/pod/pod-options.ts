import type { V1Affinity, V1NodeSelectorRequirement, V1Toleration } from '@kubernetes/client-node';
import type { LogTemplate } from '@aloft/backend-kit';
import type { DataSidecarOptions } from './raw-container.js';

/** What a pod gets for one class of capacity (C-42). */
export interface CapacityClass {
  nodeSelector: Record<string, string>;
  tolerations: V1Toleration[];
  /** Required of the node, besides whatever the pod requires itself. */
  nodeRequirements: V1NodeSelectorRequirement[];
}

/** How pods are made, and how long what is in their way is waited for. */
export interface PodOptions extends CapacityClass {
  /** Spot capacity, for attempts that may be interrupted; `onDemand` for all others. */
  spot: CapacityClass;
  onDemand: CapacityClass;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** For every container; the launch's own values win. */
  env: Record<string, string>;
  affinity?: V1Affinity | undefined;
  schedulerName?: string | undefined;
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never' | undefined;
  imagePullSecrets: string[];
  serviceAccount?: string | undefined;
  /** Annotation that names the IAM role of an execution. */
  iamRoleAnnotation: string;
  /** Name of the PodTemplate that pods begin with where their task names none. */
  podTemplate?: string | undefined;
  /** Where it is looked for if the pod's own namespace has none. */
  podTemplateNamespace?: string | undefined;
  gpu: {
    /** Resource that stands for GPUs. */
    resource: string;
    /** Labels of nodes that name device and partition (C-180). */
    deviceLabel: string;
    partitionLabel: string;
    tolerations: V1Toleration[];
  };
  /** By name of a resource that a container asks for. */
  resourceTolerations: Record<string, V1Toleration[]>;
  /** Label that carries the queue of a run, as Kueue and others read it. */
  queueLabel?: string | undefined;
  /** By the tier of a run, and by its queue, which wins. */
  priorityClasses: { tiers: Record<string, string>; queues: Record<string, string>; default?: string | undefined };
  /** Milliseconds. 0 for `pendingMs`: for ever. */
  patience: { imageMs: number; containerErrorMs: number; configErrorMs: number; pendingMs: number };
  /** Seconds that a pod may live beyond its time limit, which begins when its container runs. */
  deadlineSlackSeconds: number;
  logs: LogTemplate[];
  dataSidecar: DataSidecarOptions;
}
