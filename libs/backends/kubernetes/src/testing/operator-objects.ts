/** Of each kind: the task's type and definition, where its object is, and the status of one that has ended well. */
export const endedOperatorObjects: readonly [
  type: string,
  custom: Record<string, unknown>,
  path: string,
  status: Record<string, unknown>,
][] = [
  [
    'spark',
    { mainApplicationFile: 'local:///e.py' },
    'sparkoperator.k8s.io/v1beta2/sparkapplications',
    { applicationState: { state: 'COMPLETED' } },
  ],
  [
    'pytorch',
    { workerReplicas: { replicas: 2 } },
    'kubeflow.org/v1/pytorchjobs',
    { conditions: [{ type: 'Succeeded', status: 'True' }] },
  ],
  [
    'mpi',
    { workerReplicas: { replicas: 2 }, slots: 1 },
    'kubeflow.org/v1/mpijobs',
    { conditions: [{ type: 'Succeeded', status: 'True' }] },
  ],
  [
    'tensorflow',
    { workerReplicas: { replicas: 2 } },
    'kubeflow.org/v1/tfjobs',
    { conditions: [{ type: 'Succeeded', status: 'True' }] },
  ],
  [
    'ray',
    { rayCluster: { headGroupSpec: {}, workerGroupSpec: [{ groupName: 'g', replicas: 1 }] } },
    'ray.io/v1/rayjobs',
    { jobStatus: 'SUCCEEDED' },
  ],
  ['dask', { workers: { numberOfWorkers: 2 } }, 'kubernetes.dask.org/v1/daskjobs', { jobStatus: 'Successful' }],
];
