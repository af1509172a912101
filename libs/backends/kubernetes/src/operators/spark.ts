import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { SparkApplication_Type, SparkJob } from '@aloft/idl/flyteidl/plugins/spark';
import type { V1PodTemplateSpec, V1Volume } from '@kubernetes/client-node';
import type { Launch } from '../kind.js';
import type { PodOptions } from '../pod/pod-options.js';
import type { JobState, Operator } from './operator-kind.js';
import { commandOf, rolePod } from './roles.js';

export interface SparkOptions {
  sparkVersion: string;
  /** Of drivers, where the run names no account. */
  serviceAccount?: string | undefined;
  /** Under what every task's own configuration lies. */
  conf: Record<string, string>;
  /** Address of the history server. */
  historyServer?: string | undefined;
}

const types: Partial<Record<SparkApplication_Type, string>> = {
  [SparkApplication_Type.PYTHON]: 'Python',
  [SparkApplication_Type.JAVA]: 'Java',
  [SparkApplication_Type.SCALA]: 'Scala',
  [SparkApplication_Type.R]: 'R',
};

/** C-181: a SparkApplication of the Spark operator. Executors may be interrupted, a driver never is. */
export function sparkOperator(spark: SparkOptions): Operator {
  return {
    types: ['spark'],
    resource: { apiVersion: 'sparkoperator.k8s.io/v1beta2', kind: 'SparkApplication', plural: 'sparkapplications' },
    refuse: ({ template }: LaunchTask) =>
      SparkJob.fromJSON(template?.custom ?? {}).mainApplicationFile === ''
        ? 'The Spark task names no main application file.'
        : undefined,
    spec: (launch, options) => specOf(launch, options, spark),
    state: (status) => stateOf(status as unknown as SparkStatus, spark),
  };
}

function specOf(launch: Launch, options: PodOptions, spark: SparkOptions): object {
  const job = SparkJob.fromJSON(launch.template?.custom ?? {});
  const conf = { ...spark.conf, ...job.sparkConf };
  const driver = rolePod(launch, options, { container: driverContainer, interruptible: false, pod: job.driverPod });
  const executor = rolePod(launch, options, { container: executorContainer, pod: job.executorPod });
  const account = driver.spec?.serviceAccountName ?? spark.serviceAccount;
  const instances = Number(conf['spark.executor.instances'] ?? 1);
  const image = imageOf(launch);
  return {
    type: types[job.applicationType] ?? 'Python',
    mode: 'cluster',
    sparkVersion: spark.sparkVersion,
    image,
    ...(options.imagePullPolicy ? { imagePullPolicy: options.imagePullPolicy } : {}),
    ...(options.imagePullSecrets.length > 0 ? { imagePullSecrets: options.imagePullSecrets } : {}),
    mainApplicationFile: job.mainApplicationFile,
    ...(job.mainClass ? { mainClass: job.mainClass } : {}),
    arguments: commandOf(launch),
    sparkConf: conf,
    ...(Object.keys(job.hadoopConf).length > 0 ? { hadoopConf: job.hadoopConf } : {}),
    // Attempts are the engine's.
    restartPolicy: { type: 'Never' },
    volumes: volumesOf(driver, executor),
    driver: {
      ...sizes(conf, 'driver'),
      ...podFields(driver, driverContainer, image),
      ...(account ? { serviceAccount: account } : {}),
    },
    executor: {
      ...sizes(conf, 'executor'),
      ...podFields(executor, executorContainer, image),
      instances,
      ...(account ? { serviceAccount: account } : {}),
      ...(job.executorPath
        ? {
            env: [
              { name: 'PYSPARK_EXECUTOR_PYTHON', value: job.executorPath },
              ...(containerOf(executor, executorContainer)?.env ?? []),
            ],
          }
        : {}),
    },
  };
}

/** What Spark's own configuration says of a role's size: the operator wants it here. */
function sizes(conf: Readonly<Record<string, string>>, role: 'driver' | 'executor') {
  const cores = conf[`spark.${role}.cores`];
  const memory = conf[`spark.${role}.memory`];
  return { ...(cores ? { cores: Number(cores) } : {}), ...(memory ? { memory } : {}) };
}

const driverContainer = 'spark-kubernetes-driver';
const executorContainer = 'spark-kubernetes-executor';

const imageOf = ({ template }: Launch) =>
  template?.target?.$case === 'container' ? template.target.value.image : undefined;

const containerOf = ({ spec }: V1PodTemplateSpec, name: string) => spec?.containers.find((each) => each.name === name);

/** Volumes are the application's: of both roles, each once. */
function volumesOf(...pods: readonly V1PodTemplateSpec[]): V1Volume[] {
  const all = pods.flatMap(({ spec }) => spec?.volumes ?? []);
  return [...new Map(all.map((volume) => [volume.name, volume])).values()];
}

/** What the operator takes of a role's pod, by its names. `image`: the application's. */
function podFields(pod: V1PodTemplateSpec, name: string, image: string | undefined) {
  const { metadata, spec } = pod;
  const container = containerOf(pod, name);
  const sidecars = (spec?.containers ?? []).filter((each) => each.name !== name);
  const { affinity, tolerations, nodeSelector, priorityClassName, schedulerName } = spec ?? {};
  const { initContainers = [], securityContext, hostNetwork } = spec ?? {};
  return {
    labels: metadata?.labels ?? {},
    annotations: metadata?.annotations ?? {},
    env: container?.env ?? [],
    ...(container?.volumeMounts ? { volumeMounts: container.volumeMounts } : {}),
    ...(affinity ? { affinity } : {}),
    ...(tolerations ? { tolerations } : {}),
    ...(nodeSelector ? { nodeSelector } : {}),
    ...(priorityClassName ? { priorityClassName } : {}),
    ...(schedulerName ? { schedulerName } : {}),
    ...(container?.image && container.image !== image ? { image: container.image } : {}),
    ...(container?.securityContext ? { securityContext: container.securityContext } : {}),
    ...(securityContext ? { podSecurityContext: securityContext } : {}),
    ...(hostNetwork ? { hostNetwork } : {}),
    ...(initContainers.length > 0 ? { initContainers } : {}),
    ...(sidecars.length > 0 ? { sidecars } : {}),
  };
}

interface SparkStatus {
  applicationState?: { state?: string; errorMessage?: string };
  driverInfo?: { webUIIngressAddress?: string; podName?: string };
  sparkApplicationId?: string;
  lastSubmissionAttemptTime?: string;
  terminationTime?: string;
}

function stateOf(status: SparkStatus, { historyServer }: SparkOptions): JobState {
  const { state = '', errorMessage: message } = status.applicationState ?? {};
  const ui = status.driverInfo?.webUIIngressAddress;
  const over = ['COMPLETED', 'FAILED'].includes(state);
  const links = [
    ...(ui && !over ? [{ name: 'Spark UI', uri: /^https?:/.test(ui) ? ui : `http://${ui}` }] : []),
    ...(historyServer && over && status.sparkApplicationId
      ? [{ name: 'Spark History', uri: `${historyServer.replace(/\/+$/, '')}/history/${status.sparkApplicationId}` }]
      : []),
  ];
  const more = {
    message,
    links,
    ...(status.driverInfo?.podName ? { pod: { name: status.driverInfo.podName, container: driverContainer } } : {}),
    startedAt: status.lastSubmissionAttemptTime,
    endedAt: status.terminationTime ?? undefined,
  };
  switch (state) {
    case 'COMPLETED':
      return { phase: 'succeeded', ...more };
    case 'FAILED':
      return { phase: 'failed', ...more };
    case 'SUBMISSION_FAILED':
      return { phase: 'broken', ...more };
    case 'RUNNING':
    case 'SUCCEEDING':
    case 'FAILING':
    case 'UNKNOWN':
      return { phase: 'running', ...more };
    default:
      return { phase: 'starting', ...more };
  }
}
