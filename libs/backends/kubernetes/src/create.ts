import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkLogTemplate, type BackendPlugin } from '@aloft/backend-kit';
import type { BlobAccess } from '@aloft/blob';
import { invalidArgument } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import type { KubernetesConfig } from './config.js';
import { KubernetesBackend } from './driver/kubernetes-backend.js';
import { podVariables } from './log-links.js';
import { TemplatedNamespaces } from './namespaces.js';
import type { ObjectKind } from './kind.js';
import { daskOperator } from './operators/dask.js';
import { mpiOperator, pytorchOperator, tensorflowOperator } from './operators/kubeflow.js';
import { OperatorKind } from './operators/operator-kind.js';
import { rayOperator } from './operators/ray.js';
import { sparkOperator } from './operators/spark.js';
import { PodKind } from './pod/pod-kind.js';
import type { PodOptions } from './pod/pod-options.js';
import { kubelets, metricsApi } from './usage/sources.js';
import { namespaceTemplate, ResourceTemplate } from './resource-templates.js';

const usageSources = { metrics: metricsApi, kubelet: kubelets, requests: undefined };

export interface KubernetesSurroundings {
  storage: () => BlobAccess;
}

/** The plugin `kubernetes` as the configuration wants it. @throws INVALID_ARGUMENT for files that are not what they should be */
export function createKubernetesBackend(
  config: KubernetesConfig,
  surroundings: KubernetesSurroundings,
  logger: Logger,
): BackendPlugin {
  const { clusters, pods, resourceTemplates, createNamespaces, ...rest } = config;
  for (const template of pods.logs) checkLogTemplate(template, podVariables);
  const { storageEnv, ...podConfig } = pods;
  const options = {
    ...podConfig,
    env: { ...(storageEnv ? storageEnvironment(surroundings.storage()) : {}), ...pods.env },
  };
  return new KubernetesBackend(
    {
      owner: rest.owner,
      slots: rest.slots,
      graceSeconds: rest.graceSeconds,
      remove: rest.remove,
      finalizers: rest.finalizers,
      orphans: rest.orphans,
      usage: { source: usageSources[rest.usage.from], everyMs: rest.usage.everyMs },
      clusters: clusters.map(({ kubeconfig, context, connections, ...target }) => ({
        ...target,
        access: { kubeconfig, context, connections },
      })),
      kinds: kindsOf(config.operators, options as PodOptions),
      namespaces: new TemplatedNamespaces({
        template: rest.namespaceTemplate,
        resources: [...(createNamespaces ? [namespaceTemplate] : []), ...resourceTemplates.flatMap(templatesIn)],
        domainValues: rest.domainValues,
        projectValues: rest.projectValues,
        applyEveryMs: rest.applyEveryMs,
      }),
    },
    logger,
  );
}

/** Operators' objects for the task types that they are for, pods for all others. */
function kindsOf({ spark, ...others }: KubernetesConfig['operators'], options: PodOptions): ObjectKind[] {
  const known = {
    pytorch: pytorchOperator,
    mpi: mpiOperator,
    tensorflow: tensorflowOperator,
    ray: rayOperator,
    dask: daskOperator,
  };
  const chosen = [
    ...(spark ? [sparkOperator(spark)] : []),
    ...Object.entries(known).flatMap(([name, operator]) => (others[name as keyof typeof known] ? [operator] : [])),
  ];
  const types = ['spark', ...Object.keys(known)];
  const without = types.filter((type) => !chosen.some((operator) => operator.types.includes(type)));
  return [...chosen.map((operator) => new OperatorKind(operator, options)), new PodKind(options, without)];
}

/** What flytekit reads (FLYTE_AWS_*), as the platform itself reaches its storage. */
function storageEnvironment(access: BlobAccess): Record<string, string> {
  const env = {
    FLYTE_AWS_ENDPOINT: access.endpoint,
    FLYTE_AWS_ACCESS_KEY_ID: access.accessKeyId,
    FLYTE_AWS_SECRET_ACCESS_KEY: access.secretAccessKey,
    AWS_REGION: access.region,
  };
  return Object.fromEntries(Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

function templatesIn(path: string): ResourceTemplate[] {
  try {
    if (!statSync(path).isDirectory()) return [new ResourceTemplate(path, readFileSync(path, 'utf8'))];
    const files = readdirSync(path).filter((file) => /\.ya?ml$/.test(file));
    return files.sort().map((file) => new ResourceTemplate(join(path, file), readFileSync(join(path, file), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined || (error as Error).name === 'AloftError') throw error;
    throw invalidArgument(`backends.kubernetes.resourceTemplates: ${path} cannot be read: ${(error as Error).message}`);
  }
}
