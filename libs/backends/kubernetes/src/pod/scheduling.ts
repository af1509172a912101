import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { QualityOfService_Tier } from '@aloft/idl/flyteidl/core/execution';
import { Container_Architecture } from '@aloft/idl/flyteidl/core/tasks';
import type { V1Affinity, V1NodeSelectorRequirement, V1PodSpec, V1Toleration } from '@kubernetes/client-node';
import { merged } from './merge.js';
import type { PodOptions } from './pod-options.js';

const architectures: Partial<Record<Container_Architecture, string>> = {
  [Container_Architecture.AMD64]: 'amd64',
  [Container_Architecture.ARM64]: 'arm64',
  [Container_Architecture.ARM_V6]: 'arm',
  [Container_Architecture.ARM_V7]: 'arm',
};

/** Which nodes a pod may go to, and how urgent it is (C-42, C-180, A-94). `asked`: names of the resources that its containers ask for. */
export function scheduling(launch: LaunchTask, asked: ReadonlySet<string>, options: PodOptions): Partial<V1PodSpec> {
  const { interruptible, template, placement } = launch;
  const capacity = interruptible ? options.spot : options.onDemand;
  const container = template?.target?.$case === 'container' ? template.target.value : undefined;
  const arch = container && architectures[container.architecture];
  const gpu = gpuPlacement(launch, asked, options);
  const nodeSelector = {
    ...options.nodeSelector,
    ...capacity.nodeSelector,
    ...(arch ? { 'kubernetes.io/arch': arch } : {}),
  };
  const tolerations = [
    ...options.tolerations,
    ...capacity.tolerations,
    ...gpu.tolerations,
    ...[...asked].flatMap((name) => options.resourceTolerations[name] ?? []),
  ];
  const requirements = [...options.nodeRequirements, ...capacity.nodeRequirements, ...gpu.requirements];
  const affinity = withRequirements(options.affinity, requirements);
  const tier = QualityOfService_Tier[placement?.tier ?? QualityOfService_Tier.UNDEFINED];
  const { tiers, queues, default: usual } = options.priorityClasses;
  const priorityClassName = queues[placement?.queue ?? ''] ?? tiers[tier] ?? usual;
  return {
    ...(Object.keys(nodeSelector).length > 0 ? { nodeSelector } : {}),
    ...(tolerations.length > 0 ? { tolerations } : {}),
    ...(affinity ? { affinity } : {}),
    ...(priorityClassName ? { priorityClassName } : {}),
    ...(options.schedulerName ? { schedulerName: options.schedulerName } : {}),
  };
}

/** A device that the task names is a requirement of the node, whose taint of that name is tolerated. */
function gpuPlacement({ template }: LaunchTask, asked: ReadonlySet<string>, { gpu }: PodOptions) {
  const requirements: V1NodeSelectorRequirement[] = [];
  const tolerations: V1Toleration[] = asked.has(gpu.resource) ? [...gpu.tolerations] : [];
  const accelerator = template?.extendedResources?.gpuAccelerator;
  const require = (key: string, value: string) => {
    requirements.push({ key, operator: 'In', values: [value] });
    tolerations.push({ key, operator: 'Equal', value, effect: 'NoSchedule' });
  };
  if (accelerator?.device) require(gpu.deviceLabel, accelerator.device);
  const partition = accelerator?.partitionSizeValue;
  if (partition?.$case === 'partitionSize') require(gpu.partitionLabel, partition.value);
  else if (partition?.$case === 'unpartitioned' && partition.value)
    requirements.push({ key: gpu.partitionLabel, operator: 'DoesNotExist' });
  return { requirements, tolerations };
}

/** Added to every alternative that the affinity allows; without any, the one alternative. */
export function withRequirements(
  affinity: V1Affinity | undefined,
  requirements: readonly V1NodeSelectorRequirement[],
): V1Affinity | undefined {
  if (requirements.length === 0) return affinity;
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [{}];
  const nodeSelectorTerms = terms.map((term) => merged(term, { matchExpressions: [...requirements] }));
  return {
    ...affinity,
    nodeAffinity: {
      ...affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms },
    },
  };
}
