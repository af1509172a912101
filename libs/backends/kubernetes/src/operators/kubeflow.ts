import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import type { Resources } from '@aloft/idl/flyteidl/core/tasks';
import { RestartPolicy } from '@aloft/idl/flyteidl/plugins/common';
import { CleanPodPolicy, type RunPolicy } from '@aloft/idl/flyteidl/plugins/kubeflow/common';
import { DistributedMPITrainingTask } from '@aloft/idl/flyteidl/plugins/kubeflow/mpi';
import { DistributedPyTorchTrainingTask } from '@aloft/idl/flyteidl/plugins/kubeflow/pytorch';
import { DistributedTensorflowTrainingTask } from '@aloft/idl/flyteidl/plugins/kubeflow/tensorflow';
import type { V1EnvVar } from '@kubernetes/client-node';
import type { Launch } from '../kind.js';
import type { PodOptions } from '../pod/pod-options.js';
import type { JobState, Operator } from './operator-kind.js';
import { commandOf, rolePod } from './roles.js';

/** A replica as all three kinds describe it; newer SDKs fill `common` instead of the fields beside it. */
interface Replica {
  replicas: number;
  image: string;
  resources: Resources | undefined;
  restartPolicy: RestartPolicy;
  command?: readonly string[];
  common: Omit<Replica, 'common' | 'command'> | undefined;
}

const restartPolicies: Partial<Record<RestartPolicy, string>> = {
  [RestartPolicy.RESTART_POLICY_NEVER]: 'Never',
  [RestartPolicy.RESTART_POLICY_ON_FAILURE]: 'OnFailure',
  [RestartPolicy.RESTART_POLICY_ALWAYS]: 'Always',
};
const cleanPodPolicies: Partial<Record<CleanPodPolicy, string>> = {
  [CleanPodPolicy.CLEANPOD_POLICY_NONE]: 'None',
  [CleanPodPolicy.CLEANPOD_POLICY_RUNNING]: 'Running',
  [CleanPodPolicy.CLEANPOD_POLICY_ALL]: 'All',
};

/** What makes flytekit write an error file for each worker, with its name (C-171). */
const ownErrors: readonly V1EnvVar[] = [
  { name: '_F_DES', value: 'Earliest' },
  { name: '_F_WN', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
];

const kubeflow = (kind: string) => ({ apiVersion: 'kubeflow.org/v1', kind, plural: `${kind.toLowerCase()}s` });

/** C-184: a PyTorchJob of Kubeflow's training operator. */
export const pytorchOperator: Operator = {
  types: ['pytorch'],
  distributed: true,
  resource: kubeflow('PyTorchJob'),
  refuse: (launch) => (pytorchOf(launch).workers === 0 ? noWorkers(launch) : undefined),
  spec(launch, options) {
    const { task, workers } = pytorchOf(launch);
    const { elasticConfig: elastic } = task;
    const replicas = {
      // An elastic job has workers alone.
      ...(elastic ? {} : { Master: replica(launch, options, 'pytorch', task.masterReplicas, 1) }),
      Worker: replica(launch, options, 'pytorch', task.workerReplicas, workers),
    };
    return {
      runPolicy: runPolicy(task.runPolicy),
      pytorchReplicaSpecs: replicas,
      ...(elastic
        ? {
            elasticPolicy: {
              rdzvBackend: elastic.rdzvBackend || 'c10d',
              minReplicas: elastic.minReplicas,
              maxReplicas: elastic.maxReplicas,
              nProcPerNode: elastic.nprocPerNode,
              maxRestarts: elastic.maxRestarts,
            },
          }
        : {}),
    };
  },
  state: conditionState,
};

/** C-184: an MPIJob. The launcher runs the task's command, the workers what their role says. */
export const mpiOperator: Operator = {
  types: ['mpi'],
  distributed: true,
  resource: kubeflow('MPIJob'),
  refuse: (launch) => (countOf(mpiOf(launch).workerReplicas) === 0 ? noWorkers(launch) : undefined),
  spec(launch, options) {
    const task = mpiOf(launch);
    const workers = countOf(task.workerReplicas);
    const slots = task.slots || 1;
    const launcherCommand = task.launcherReplicas?.command ?? [];
    const launcher = replica(launch, options, 'mpi', task.launcherReplicas, 1);
    // "mpirun -np 4 …" stands before the task's own command line.
    const [container] = launcher.template.spec?.containers ?? [];
    if (container && launcherCommand.length > 0)
      Object.assign(container, { command: [...launcherCommand], args: commandOf(launch) });
    return {
      slotsPerWorker: slots,
      runPolicy: runPolicy(task.runPolicy),
      mpiReplicaSpecs: { Launcher: launcher, Worker: replica(launch, options, 'mpi', task.workerReplicas, workers) },
    };
  },
  state: conditionState,
};

/** C-184: a TFJob. */
export const tensorflowOperator: Operator = {
  types: ['tensorflow'],
  distributed: true,
  resource: kubeflow('TFJob'),
  refuse: (launch) => (countOf(tensorflowOf(launch).workerReplicas) === 0 ? noWorkers(launch) : undefined),
  spec(launch, options) {
    const task = tensorflowOf(launch);
    const roles = {
      Worker: task.workerReplicas,
      PS: task.psReplicas,
      Chief: task.chiefReplicas,
      Evaluator: task.evaluatorReplicas,
    };
    return {
      runPolicy: runPolicy(task.runPolicy),
      tfReplicaSpecs: Object.fromEntries(
        Object.entries(roles).flatMap(([name, role]) => {
          const count = countOf(role);
          return count > 0 ? [[name, replica(launch, options, 'tensorflow', role, count)]] : [];
        }),
      ),
    };
  },
  state: conditionState,
};

function replica(launch: Launch, options: PodOptions, container: string, role: Replica | undefined, count: number) {
  const said = role?.common ?? role;
  const template = rolePod(launch, options, {
    container,
    env: ownErrors,
    ...(said?.image ? { image: said.image } : {}),
    resources: said?.resources,
    ...(role?.command && role.command.length > 0 ? { command: role.command, args: [] } : {}),
  });
  return { replicas: count, restartPolicy: restartPolicies[said?.restartPolicy ?? 0] ?? 'Never', template };
}

const countOf = (role: Replica | undefined): number => role?.common?.replicas || role?.replicas || 0;

function runPolicy(policy: RunPolicy | undefined): object {
  if (!policy) return { cleanPodPolicy: 'Running' };
  const { ttlSecondsAfterFinished: ttl, activeDeadlineSeconds: deadline, backoffLimit } = policy;
  return {
    cleanPodPolicy: cleanPodPolicies[policy.cleanPodPolicy] ?? 'Running',
    ...(ttl > 0 ? { ttlSecondsAfterFinished: ttl } : {}),
    ...(deadline > 0 ? { activeDeadlineSeconds: deadline } : {}),
    ...(backoffLimit > 0 ? { backoffLimit } : {}),
  };
}

function pytorchOf({ template }: LaunchTask) {
  const custom = template?.custom ?? {};
  const task = DistributedPyTorchTrainingTask.fromJSON(custom);
  // Tasks of version 0 say but how many workers there are.
  const workers = countOf(task.workerReplicas) || Number(custom['workers'] ?? 0);
  return { task, workers };
}

const mpiOf = ({ template }: LaunchTask) => DistributedMPITrainingTask.fromJSON(template?.custom ?? {});
const tensorflowOf = ({ template }: LaunchTask) => DistributedTensorflowTrainingTask.fromJSON(template?.custom ?? {});
const noWorkers = ({ template }: LaunchTask) =>
  `The ${template?.type} task asks for no workers: it needs at least one.`;

interface Condition {
  type: string;
  status: string;
  message?: string;
}

/** The last of the job's conditions that holds. */
function conditionState(status: Record<string, unknown>): JobState {
  const {
    conditions = [],
    startTime,
    completionTime,
  } = status as { conditions?: Condition[]; startTime?: string; completionTime?: string };
  const holds = (type: string) =>
    conditions.find((condition) => condition.type === type && condition.status === 'True');
  const times = { startedAt: startTime, endedAt: completionTime };
  const failed = holds('Failed');
  if (holds('Succeeded')) return { phase: 'succeeded', ...times };
  if (failed) return { phase: 'failed', message: failed.message, ...times };
  const suspended = holds('Suspended');
  if (suspended) return { phase: 'waiting', message: suspended.message, ...times };
  if (holds('Running') || holds('Restarting'))
    return { phase: 'running', message: holds('Restarting')?.message, ...times };
  return { phase: 'starting', ...times };
}
