import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Collector, problemsOf, traceOfRun } from '../trace/collect.js';
import { ThreeSteps } from '../trace/workflow.js';
import { topology } from './topology.js';

const services = ['aloft-admin', 'aloft-propeller', 'aloft-catalog', 'aloft-backends'];

describe('tracing across the services', () => {
  let collector: Collector;
  beforeAll(async () => {
    // All services were told this address at their start; nobody listened there so far, which harmed nothing.
    collector = await Collector.start(Number(process.env['ALOFT_E2E_OTLP_PORT']));
  });
  afterAll(() => collector?.close());

  it('one trace from CreateExecution through each attempt to the terminal event, over Kafka and gRPC', async () => {
    const steps = new ThreeSteps(topology().front.grpc, `traced-${Date.now()}`);
    await steps.register('test "$FLYTE_ATTEMPT_NUMBER" -gt 0');
    const name = `traced-${Date.now().toString(36)}`;
    await steps.client.succeeded(await steps.launch(name));
    steps.close();
    const expected = {
      nodes: { n0: 1, n1: 2, n2: 1 },
      phase: 'SUCCEEDED',
      services,
      names: ['flyteidl.service.AdminService/CreateExecution', 'host execution', 'process executions.events'],
    };
    const whole = () => problemsOf(traceOfRun(collector.spans, name) ?? [], expected);
    await collector.until(() => traceOfRun(collector.spans, name) !== undefined, `the end of ${name}`);
    await collector.until(() => whole().length === 0, 'a whole trace', 15_000).catch(() => undefined);
    expect(whole()).toEqual([]);
  });
});
