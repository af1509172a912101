import { Metrics, type Counter, type Histogram } from '@aloft/telemetry';

/** What the propeller counts of itself. */
export interface PropellerMetrics {
  applied: Counter;
  applyTime: Histogram;
  commitTime: Histogram;
  batchSize: Histogram;
  parked: Counter;
  quarantined: Counter;
  requestTime: Histogram<'kind'>;
  launches: Counter<'project'>;
  attempts: Counter<'project' | 'outcome'>;
  runs: Counter<'project' | 'outcome'>;
  runTime: Histogram<'project' | 'outcome'>;
  stepTime: Histogram<'project' | 'outcome'>;
  /** The label of a project: bounded in number. */
  project(name: string): string;
}

const runBuckets = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600];
const stepBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];

export function propellerMetrics(metrics: Metrics = new Metrics()): PropellerMetrics {
  return {
    applied: metrics.counter({ name: 'aloft_propeller_inputs_total', help: 'Inputs applied to runs' }),
    applyTime: metrics.histogram({
      name: 'aloft_propeller_apply_seconds',
      help: 'Time in which one slice of inputs was applied to memory',
    }),
    commitTime: metrics.histogram({
      name: 'aloft_propeller_commit_seconds',
      help: 'From sealing a commit to its being durable',
    }),
    batchSize: metrics.histogram({
      name: 'aloft_propeller_commit_inputs',
      help: 'Inputs in one commit',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
    }),
    parked: metrics.counter({ name: 'aloft_propeller_parked_total', help: 'Messages set aside with their key' }),
    quarantined: metrics.counter({ name: 'aloft_propeller_quarantined_total', help: 'Runs that the engine failed on' }),
    requestTime: metrics.histogram({
      name: 'aloft_propeller_request_seconds',
      help: 'From a request to its answer, by kind',
      labels: ['kind'],
    }),
    launches: metrics.counter({
      name: 'aloft_propeller_launches_total',
      help: 'Launches of tasks committed, items of arrays included',
      labels: ['project'],
    }),
    attempts: metrics.counter({
      name: 'aloft_propeller_attempts_total',
      help: 'Attempts whose end is durable, by outcome',
      labels: ['project', 'outcome'],
    }),
    runs: metrics.counter({
      name: 'aloft_propeller_runs_total',
      help: 'Runs whose end is durable, by outcome',
      labels: ['project', 'outcome'],
    }),
    runTime: metrics.histogram({
      name: 'aloft_propeller_run_seconds',
      help: 'From the creation of a run to the commit of its end',
      labels: ['project', 'outcome'],
      buckets: runBuckets,
    }),
    stepTime: metrics.histogram({
      name: 'aloft_propeller_step_seconds',
      help: 'From the readiness of a task node to the commit of its end: queueing, cache look-up and all attempts',
      labels: ['project', 'outcome'],
      buckets: stepBuckets,
    }),
    project: (name) => metrics.project(name),
  };
}
