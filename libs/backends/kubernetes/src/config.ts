import { z } from 'zod';

const positive = (value: number) => z.number().int().positive().default(value);
const name = z.string().min(1);
const texts = z.record(z.string(), z.string()).default({});

const toleration = z.strictObject({
  key: name.optional(),
  operator: z.enum(['Exists', 'Equal']).optional(),
  value: z.string().optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
  tolerationSeconds: z.number().int().optional(),
});
const tolerations = z.array(toleration).default([]);
const nodeRequirement = z.strictObject({
  key: name,
  operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt']),
  values: z.array(z.string()).optional(),
});
const capacityClass = z.strictObject({
  nodeSelector: texts,
  tolerations,
  nodeRequirements: z.array(nodeRequirement).default([]),
});

const cluster = z.strictObject({
  /** For people, and written down with each attempt: a name stays with its cluster. */
  name,
  /** Absent: the account of the pod that the platform runs in. */
  kubeconfig: name.optional(),
  context: name.optional(),
  /** Share of the work among clusters that may have it; 0: only where no other may. */
  weight: z.number().nonnegative().default(1),
  /** Runs with one of these cluster labels may come here; runs without one may come anywhere. */
  labels: z.array(name).default([]),
  pools: z.array(name).default([]),
  /** Finishes what it has, gets nothing new. */
  draining: z.boolean().default(false),
  /** The only namespaces that the platform may see there; empty: all. */
  namespaces: z.array(name).default([]),
  /** Requests at once. */
  connections: positive(32),
});

const pods = z.strictObject({
  ...capacityClass.shape,
  spot: capacityClass.prefault({}),
  onDemand: capacityClass.prefault({}),
  labels: texts,
  annotations: z.record(z.string(), z.string()).default({ 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false' }),
  env: texts,
  /** The platform's own access to blob storage as FLYTE_AWS_*; without it pods need an account or a role of theirs. */
  storageEnv: z.boolean().default(false),
  /** As in a pod's spec. */
  affinity: z.record(z.string(), z.unknown()).optional(),
  schedulerName: name.optional(),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
  imagePullSecrets: z.array(name).default([]),
  serviceAccount: name.optional(),
  iamRoleAnnotation: name.default('iam.amazonaws.com/role'),
  podTemplate: name.optional(),
  podTemplateNamespace: name.optional(),
  gpu: z
    .strictObject({
      resource: name.default('nvidia.com/gpu'),
      deviceLabel: name.default('k8s.amazonaws.com/accelerator'),
      partitionLabel: name.default('k8s.amazonaws.com/gpu-partition-size'),
      tolerations,
    })
    .prefault({}),
  resourceTolerations: z.record(z.string(), z.array(toleration)).default({}),
  queueLabel: name.optional(),
  priorityClasses: z
    .strictObject({ tiers: texts, queues: texts, default: name.optional() })
    .prefault({})
    .refine(({ tiers }) => Object.keys(tiers).every((tier) => ['HIGH', 'MEDIUM', 'LOW'].includes(tier)), {
      path: ['tiers'],
      message: 'tiers are HIGH, MEDIUM and LOW',
    }),
  patience: z
    .strictObject({
      imageMs: positive(180_000),
      containerErrorMs: positive(180_000),
      configErrorMs: z.number().int().nonnegative().default(0),
      pendingMs: z.number().int().nonnegative().default(0),
    })
    .prefault({}),
  deadlineSlackSeconds: positive(600),
  dataSidecar: z
    .strictObject({
      image: name.optional(),
      command: z.array(name).default(['node', '/app/node_modules/@aloft/backend-kubernetes/dist/data-sidecar/main.js']),
      cpu: name.default('100m'),
      memory: name.default('256Mi'),
    })
    .prefault({}),
  logs: z
    .array(
      z.strictObject({
        name,
        uri: z.string().regex(/^https?:\/\//),
        linkType: name.optional(),
        showWhilePending: z.boolean().optional(),
        hideOnceFinished: z.boolean().optional(),
      }),
    )
    .default([]),
});

const operators = z.strictObject({
  spark: z
    .strictObject({
      sparkVersion: name.default('3.5.6'),
      serviceAccount: name.optional(),
      conf: texts,
      historyServer: z
        .string()
        .regex(/^https?:\/\//)
        .optional(),
    })
    .optional(),
  pytorch: z.boolean().default(false),
  mpi: z.boolean().default(false),
  tensorflow: z.boolean().default(false),
  ray: z.boolean().default(false),
  dask: z.boolean().default(false),
});

/** The backend `kubernetes`. Without clusters there is none. */
export const kubernetesConfigSchema = z
  .strictObject({
    clusters: z.array(cluster).default([]),
    /** The label by which installations that share a cluster know their own. */
    owner: z
      .string()
      .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
      .default('aloft'),
    slots: positive(5_000),
    /** Seconds between SIGTERM and SIGKILL of what is aborted. Not 0: that is to forget a pod whose containers may still run. */
    graceSeconds: positive(5),
    /** Whether the objects of ended attempts are deleted. */
    remove: z.enum(['always', 'on-success', 'never']).default('always'),
    /** Pods that somebody deletes stay until their end was seen; needs the right to `patch` pods. */
    finalizers: z.boolean().default(false),
    orphans: z.strictObject({ everyMs: positive(60_000), afterMs: positive(120_000) }).prefault({}),
    /**
     * Whence what pods use is known: from the cluster's metrics server where it has one, from its nodes themselves, or, of all, as what they requested.
     */
    usage: z
      .strictObject({ from: z.enum(['metrics', 'kubelet', 'requests']).default('metrics'), everyMs: positive(30_000) })
      .prefault({}),
    namespaceTemplate: name.default('{{ project }}-{{ domain }}'),
    createNamespaces: z.boolean().default(true),
    /** YAML files of objects that each namespace gets, or folders of them. */
    resourceTemplates: z.array(name).default([]),
    applyEveryMs: positive(600_000),
    domainValues: z.record(z.string(), texts).default({}),
    projectValues: z.record(z.string(), texts).default({}),
    pods: pods.prefault({}),
    /** Operators that the clusters have: the account of each must be allowed to see their objects. */
    operators: operators.prefault({}),
  })
  .prefault({})
  .superRefine(({ clusters }, context) => {
    const names = clusters.map((each) => each.name);
    for (const [i, each] of names.entries())
      if (names.indexOf(each) < i)
        context.addIssue({ code: 'custom', path: ['clusters', i, 'name'], message: `"${each}" is there twice` });
  });

export type KubernetesConfig = z.output<typeof kubernetesConfigSchema>;
