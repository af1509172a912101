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
}

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
  };
}
