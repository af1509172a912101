import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { watch } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Collector, problemsOf, traceOfRun, type CollectedSpan } from './collect.js';
import { Embedded } from './embedded.js';
import { ThreeSteps } from './workflow.js';

// Real: the embedded platform in a process of its own, OTLP over HTTP. Ours: the collector.
describe('traces, metrics and logs of a run on the embedded platform', () => {
  let collector: Collector;
  let platform: Embedded;

  beforeAll(async () => {
    collector = await Collector.start();
    platform = new Embedded({ ALOFT_TELEMETRY_OTLP_ENDPOINT: collector.endpoint, ALOFT_LOG_LEVEL: 'debug' });
    await platform.start();
  });
  afterAll(async () => {
    await platform?.close();
    await collector?.close();
  });

  const inFolder = (name: string) => join(platform.folder, name);
  const expected = {
    nodes: { n0: 1, n1: 2, n2: 1 },
    phase: 'SUCCEEDED',
    scopes: ['aloft.rpc', 'aloft.bus', 'aloft.database', 'aloft.propeller', 'aloft.backend-kit'],
    names: [
      'flyteidl.service.AdminService/CreateExecution',
      'admin transaction',
      'propeller transaction',
      'request cache-lookup',
      'process executions.events',
      'process tasks.commands.local',
      'host launch',
      'host execution',
    ],
  };

  /** The run's trace once what ends it has come. */
  async function traced(execution: string): Promise<CollectedSpan[]> {
    await collector.until((spans) => traceOfRun(spans, execution) !== undefined, `the end of ${execution}`);
    const settled = (spans: CollectedSpan[]) => problemsOf(traceOfRun(spans, execution) ?? [], expected).length === 0;
    // What is still on its way comes within the exporter's delay; what then is missing is named below.
    await collector.until(settled, 'a whole trace', 5_000).catch(() => undefined);
    return traceOfRun(collector.spans, execution)!;
  }

  it('one connected trace from CreateExecution over a cache look-up and a retry to the terminal event', async () => {
    const steps = new ThreeSteps(platform.grpc, 'v1');
    await steps.register(`echo "$TRACEPARENT" >> ${inFolder('traceparents')}; test "$FLYTE_ATTEMPT_NUMBER" -gt 0`);
    await steps.client.succeeded(await steps.launch('traced'));
    steps.close();
    const spans = await traced('traced');
    expect(problemsOf(spans, expected)).toEqual([]);

    const root = spans.find(({ parentSpanId }) => parentSpanId === '')!;
    expect(root).toMatchObject({ name: 'flyteidl.service.AdminService/CreateExecution', kind: 'server' });
    const attempts = spans.filter(
      ({ name, attributes }) => /^attempt \d/.test(name) && attributes['aloft.node'] === 'n1',
    );
    expect(attempts.map(({ name, failed }) => [name, failed]).sort()).toEqual([
      ['attempt 0', true],
      ['attempt 1', false],
    ]);
    const run = spans.find(({ name }) => name === 'run')!;
    expect(run.parentSpanId).toBe(root.spanId);
    expect(run.attributes).toMatchObject({ 'aloft.project': 'aloft', 'aloft.domain': 'development' });

    // The tasks were told which span they are.
    const told = readFileSync(inFolder('traceparents'), 'utf8').trim().split('\n');
    expect(told.map((traceparent) => traceparent.split('-').slice(1, 3))).toEqual(
      attempts.sort((a, b) => a.start - b.start).map(({ traceId, spanId }) => [traceId, spanId]),
    );
    // Values never are.
    expect(JSON.stringify(spans)).not.toContain('literals');

    const lines = platform.log.filter(({ execution }) => execution === 'aloft/development/traced');
    expect(lines).toContainEqual(
      expect.objectContaining({ run: run.attributes['aloft.run'], node: 'n1', attempt: 0, phase: 'FAILED' }),
    );
    expect(platform.log).toContainEqual(
      expect.objectContaining({
        rpc: '/flyteidl.service.AdminService/CreateExecution',
        trace_id: root.traceId,
        span_id: root.spanId,
      }),
    );
  });

  it('every metric of docs/architecture/observability.md is there, with values that fit the run', async () => {
    const page = readFileSync(new URL('../../docs/architecture/observability.md', import.meta.url), 'utf8');
    const documented = [...page.matchAll(/^\| `((?:aloft|nodejs|process)_\w+)`(?=.*\| embedded)/gm)].map(
      ([, name]) => name!,
    );
    expect(documented.length).toBeGreaterThan(20);
    const text = await (await fetch(`${platform.http}/metrics`)).text();
    expect(documented.filter((name) => !new RegExp(`^# TYPE ${name} `, 'm').test(text))).toEqual([]);
    const value = (series: string) => {
      const line = text.split('\n').find((each) => each.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length + 1));
    };
    const project = 'project="aloft"';
    expect(value(`aloft_propeller_step_seconds_count{${project},outcome="succeeded"}`)).toBe(3);
    expect(value(`aloft_propeller_attempts_total{${project},outcome="succeeded"}`)).toBe(3);
    expect(value(`aloft_propeller_attempts_total{${project},outcome="failed"}`)).toBe(1);
    expect(value(`aloft_propeller_launches_total{${project}}`)).toBe(4);
    expect(value(`aloft_propeller_runs_total{${project},outcome="succeeded"}`)).toBe(1);
    expect(value('aloft_bus_lag_messages{group="propeller",topic="executions.commands"}')).toBe(0);
    expect(value('aloft_admin_projection_delay_seconds_count')).toBeGreaterThan(0);
    const rpc = 'rpc="/flyteidl.service.AdminService/CreateExecution",code="OK"';
    expect(value(`aloft_rpc_server_duration_seconds_count{${rpc}}`)).toBe(1);
    expect(value(`aloft_propeller_step_seconds_sum{${project},outcome="succeeded"}`)).toBeLessThan(60);
  });

  it('after kill -9 of everything in the middle of the run it is still one connected trace', async () => {
    const steps = new ThreeSteps(platform.grpc, 'v2');
    await steps.register(
      `test "$FLYTE_ATTEMPT_NUMBER" -gt 0 || exit 3; touch ${inFolder('started')}; ` +
        `while [ ! -f ${inFolder('go')} ]; do sleep 0.05; done`,
    );
    await steps.launch('killed');
    steps.close();
    await exists(inFolder('started'));
    const launched = ({ name, attributes }: CollectedSpan) =>
      name === 'host launch' && attributes['aloft.execution'] === 'killed' && attributes['aloft.attempt'] === 1;
    await collector.until((spans) => spans.some(launched), 'the launch of the second attempt');
    await platform.end('SIGKILL');
    await platform.start();
    writeFileSync(inFolder('go'), '');
    const spans = await traced('killed');
    expect(problemsOf(spans, expected)).toEqual([]);
    expect(spans.filter(({ name }) => name === 'run')).toHaveLength(1);
  });
});

async function exists(path: string): Promise<void> {
  const changes = watch(join(path, '..'));
  if (existsSync(path)) return;
  for await (const _ of changes) if (existsSync(path)) return;
}
