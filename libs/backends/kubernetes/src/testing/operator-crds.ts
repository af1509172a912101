import type { Kube } from './kube.js';

/** As much of an operator's type as our objects have: what the API server checks before it takes one. */
interface Shape {
  group: string;
  version: string;
  kind: string;
  spec: Record<string, object>;
}

const text = { type: 'string' };
const count = { type: 'integer' };
const any = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const list = (items: object) => ({ type: 'array', items });
const object = (properties: Record<string, object>, more: object = {}) => ({ type: 'object', properties, ...more });
const texts = { type: 'object', additionalProperties: text };
const pod = object({
  metadata: any,
  spec: object({ containers: list(any) }, { required: ['containers'], 'x-kubernetes-preserve-unknown-fields': true }),
});
const replicas = {
  type: 'object',
  additionalProperties: object(
    {
      replicas: count,
      restartPolicy: { type: 'string', enum: ['Never', 'OnFailure', 'Always', 'ExitCode'] },
      template: pod,
    },
    { required: ['template'] },
  ),
};
const runPolicy = object({
  cleanPodPolicy: { type: 'string', enum: ['None', 'Running', 'All'] },
  ttlSecondsAfterFinished: count,
  activeDeadlineSeconds: count,
  backoffLimit: count,
});
const sparkPod = object({
  cores: count,
  memory: text,
  instances: count,
  labels: texts,
  annotations: texts,
  serviceAccount: text,
  env: list(any),
  nodeSelector: texts,
  tolerations: list(any),
  affinity: any,
  volumeMounts: list(any),
  priorityClassName: text,
  schedulerName: text,
  image: text,
  securityContext: any,
  podSecurityContext: any,
  hostNetwork: { type: 'boolean' },
  initContainers: list(any),
  sidecars: list(any),
});

const kubeflow = (kind: string, spec: Record<string, object>): Shape => ({
  group: 'kubeflow.org',
  version: 'v1',
  kind,
  spec: { runPolicy, ...spec },
});

const shapes: Record<string, Shape> = {
  spark: {
    group: 'sparkoperator.k8s.io',
    version: 'v1beta2',
    kind: 'SparkApplication',
    spec: {
      type: { type: 'string', enum: ['Java', 'Python', 'Scala', 'R'] },
      mode: { type: 'string', enum: ['cluster', 'client'] },
      sparkVersion: text,
      image: text,
      imagePullPolicy: text,
      imagePullSecrets: list(text),
      mainApplicationFile: text,
      mainClass: text,
      arguments: list(text),
      sparkConf: texts,
      hadoopConf: texts,
      restartPolicy: object({ type: { type: 'string', enum: ['Never', 'OnFailure', 'Always'] } }),
      volumes: list(any),
      driver: sparkPod,
      executor: sparkPod,
    },
  },
  pytorch: kubeflow('PyTorchJob', {
    pytorchReplicaSpecs: replicas,
    elasticPolicy: object({
      rdzvBackend: text,
      minReplicas: count,
      maxReplicas: count,
      nProcPerNode: count,
      maxRestarts: count,
    }),
  }),
  mpi: kubeflow('MPIJob', { slotsPerWorker: count, mpiReplicaSpecs: replicas }),
  tensorflow: kubeflow('TFJob', { tfReplicaSpecs: replicas }),
  ray: {
    group: 'ray.io',
    version: 'v1',
    kind: 'RayJob',
    spec: {
      entrypoint: text,
      shutdownAfterJobFinishes: { type: 'boolean' },
      ttlSecondsAfterFinished: count,
      runtimeEnvYAML: text,
      backoffLimit: count,
      rayClusterSpec: object({
        enableInTreeAutoscaling: { type: 'boolean' },
        headGroupSpec: object({ rayStartParams: texts, template: pod }),
        workerGroupSpecs: list(
          object({
            groupName: text,
            replicas: count,
            minReplicas: count,
            maxReplicas: count,
            rayStartParams: texts,
            template: pod,
          }),
        ),
      }),
    },
  },
  dask: {
    group: 'kubernetes.dask.org',
    version: 'v1',
    kind: 'DaskJob',
    spec: {
      job: object({ spec: any }),
      cluster: object({
        spec: object({
          worker: object({ replicas: count, spec: any }),
          scheduler: object({ spec: any, service: any }),
        }),
      }),
    },
  },
};

/** Gives the API server these types, strict in what it knows of them; resolves when it serves them. */
export async function createOperatorTypes(kube: Kube): Promise<void> {
  for (const { group, version, kind, spec } of Object.values(shapes)) {
    const plural = `${kind.toLowerCase()}s`;
    const openAPIV3Schema = object({ spec: object(spec), status: any });
    const definition = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {
        name: `${plural}.${group}`,
        annotations: { 'api-approved.kubernetes.io': 'unapproved, a shape for tests' },
      },
      spec: {
        group,
        scope: 'Namespaced',
        names: { kind, plural, singular: kind.toLowerCase() },
        versions: [
          { name: version, served: true, storage: true, schema: { openAPIV3Schema }, subresources: { status: {} } },
        ],
      },
    };
    const { status, body } = await kube.call(
      'POST',
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
      definition,
    );
    if (status !== 201 && status !== 409) throw new Error(JSON.stringify(body));
  }
  for (const { group, version, kind } of Object.values(shapes))
    while ((await kube.call('GET', `/apis/${group}/${version}/${kind.toLowerCase()}s`)).status !== 200)
      await new Promise((resolve) => setTimeout(resolve, 50));
}
