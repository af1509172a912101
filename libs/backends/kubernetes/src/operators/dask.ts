import { DaskJob, type DaskScheduler, type DaskWorkerGroup } from '@aloft/idl/flyteidl/plugins/dask';
import type { JobState, Operator } from './operator-kind.js';
import { commandOf, rolePod } from './roles.js';

/** C-183: a DaskJob: a scheduler, workers, and the task's command in a runner that finds them. */
export const daskOperator: Operator = {
  types: ['dask'],
  resource: { apiVersion: 'kubernetes.dask.org/v1', kind: 'DaskJob', plural: 'daskjobs' },
  refuse: ({ template }) =>
    (DaskJob.fromJSON(template?.custom ?? {}).workers?.numberOfWorkers ?? 0) < 1
      ? 'The dask task asks for no workers: it needs at least one.'
      : undefined,
  spec(launch, options, name) {
    const { scheduler, workers } = DaskJob.fromJSON(launch.template?.custom ?? {});
    const schedulerArgs = ['dask-scheduler'];
    // Of a worker, Dask itself keeps to what it may use.
    const workerArgs = ['dask-worker', '--name', '$(DASK_WORKER_NAME)'];
    return {
      job: {
        spec: {
          ...rolePod(launch, options, { container: 'job-runner', args: commandOf(launch), interruptible: false }).spec,
          restartPolicy: 'Never',
        },
      },
      cluster: {
        spec: {
          worker: {
            replicas: workers?.numberOfWorkers ?? 1,
            spec: rolePod(launch, options, { container: 'worker', args: workerArgs, ...said(workers) }).spec,
          },
          scheduler: {
            spec: schedulerPod(
              rolePod(launch, options, {
                container: 'scheduler',
                args: schedulerArgs,
                interruptible: false,
                ...said(scheduler),
              }).spec,
            ),
            service: {
              type: 'ClusterIP',
              selector: { 'dask.org/cluster-name': name, 'dask.org/component': 'scheduler' },
              ports: [
                { name: 'tcp-comm', protocol: 'TCP', port: 8786, targetPort: 'tcp-comm' },
                { name: 'http-dashboard', protocol: 'TCP', port: 8787, targetPort: 'http-dashboard' },
              ],
            },
          },
        },
      },
    };
  },
  state: stateOf,
};

const said = (role: DaskScheduler | DaskWorkerGroup | undefined) => ({
  ...(role?.image ? { image: role.image } : {}),
  resources: role?.resources,
});

function schedulerPod(spec: ReturnType<typeof rolePod>['spec']) {
  const ports = [
    { name: 'tcp-comm', containerPort: 8786, protocol: 'TCP' },
    { name: 'http-dashboard', containerPort: 8787, protocol: 'TCP' },
  ];
  return {
    ...spec,
    containers: (spec?.containers ?? []).map((each) => (each.name === 'scheduler' ? { ...each, ports } : each)),
  };
}

function stateOf(status: Record<string, unknown>): JobState {
  const { jobStatus = '', startTime, endTime } = status as Record<string, string | undefined>;
  const times = { startedAt: startTime, endedAt: endTime };
  switch (jobStatus) {
    case 'Successful':
      return { phase: 'succeeded', ...times };
    case 'Failed':
      return { phase: 'failed', ...times };
    case 'Running':
      return { phase: 'running', ...times };
    default:
      return { phase: 'starting', ...times };
  }
}
