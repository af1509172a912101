import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  currentTrace,
  deriveTrace,
  isSampled,
  newTrace,
  recordSpan,
  spanFrom,
  spanIdOf,
  startTracing,
  traceIdOf,
  withLinkedSpan,
  withSpan,
  withTrace,
  type TraceContext,
  type Tracing,
} from '../index.js';
import { Collector } from '../testing/index.js';

let collector: Collector;
let tracing: Tracing | undefined;

beforeEach(async () => {
  collector = await Collector.start();
});
afterEach(async () => {
  await tracing?.shutdown();
  tracing = undefined;
  await collector.close();
});

const start = (more: Partial<Parameters<typeof startTracing>[0]> = {}): Tracing =>
  (tracing = startTracing({ serviceName: 'test', instanceId: 'one', otlpEndpoint: collector.endpoint, ...more }));

const sampled: TraceContext = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'vendor=1' };

test('spans nest over awaits, carry what they are told, and arrive as OTLP', async () => {
  start();
  const root = spanFrom(undefined, 'root', { 'aloft.project': 'p' }, { kind: 'server', scope: 'aloft.rpc' });
  const seen = await withTrace(root.trace, () =>
    withSpan('child', { n: 1, left: undefined }, async (span) => {
      await Promise.resolve();
      span?.event('half way');
      return currentTrace();
    }),
  );
  const failing = withTrace(root.trace, () =>
    withSpan('failing', {}, () => Promise.reject(new Error('a value that must not travel'))),
  );
  await expect(failing).rejects.toThrow('must not travel');
  root.end();
  await tracing!.flush();

  const [child, failed, first] = ['child', 'failing', 'root'].map((name) =>
    collector.spans.find((s) => s.name === name)!,
  );
  expect(first).toMatchObject({
    parentSpanId: '',
    kind: 'server',
    scope: 'aloft.rpc',
    service: 'test',
    instance: 'one',
  });
  expect(first!.attributes).toEqual({ 'aloft.project': 'p' });
  expect(child).toMatchObject({ traceId: first!.traceId, parentSpanId: first!.spanId, events: ['half way'] });
  expect(child!.attributes).toEqual({ n: 1 });
  expect(child!.spanId).toBe(spanIdOf(seen!));
  expect(failed).toMatchObject({ parentSpanId: first!.spanId, failed: true, status: 'INTERNAL' });
  expect(child!.end).toBeGreaterThanOrEqual(child!.start);
});

test('the caller decides what is recorded; what begins here is as the ratio says', async () => {
  start({ sampleRatio: 0 });
  const unrecorded = spanFrom(undefined, 'by ratio');
  expect(isSampled(unrecorded.trace)).toBe(false);
  const recorded = spanFrom(sampled, 'as the caller wants');
  expect(recorded.trace).toMatchObject({ tracestate: 'vendor=1' });
  recorded.end();
  const refused = spanFrom({ traceparent: sampled.traceparent.replace(/01$/, '00') }, 'as the caller wants not');
  refused.end();
  expect(refused.trace.traceparent).toBe(sampled.traceparent.replace(/01$/, '00'));
  await tracing!.flush();
  expect(collector.spans.map(({ name, parentSpanId }) => ({ name, parentSpanId }))).toEqual([
    { name: 'as the caller wants', parentSpanId: 'b'.repeat(16) },
  ]);
});

test('without an endpoint nothing is recorded and contexts travel as they came', () => {
  tracing = startTracing({ serviceName: 'test' });
  expect(spanFrom(sampled, 'x').trace).toBe(sampled);
  expect(spanFrom(undefined, 'x').trace.traceparent).toMatch(/-00$/);
  withTrace(sampled, () => withSpan('x', {}, (span) => expect([span, currentTrace()]).toEqual([undefined, sampled])));
});

test('a span that is told at its end has the id that follows from its cause, also when it is told twice', async () => {
  start();
  const parent = deriveTrace(sampled, 'run', 'r1');
  const trace = deriveTrace(sampled, 'attempt', 'r1', 'n0', 0);
  expect(deriveTrace(newTrace(), 'attempt', 'r1', 'n0', 0).traceparent.slice(36, 52)).toBe(spanIdOf(trace));
  expect(spanIdOf(trace)).not.toBe(spanIdOf(deriveTrace(sampled, 'attempt', 'r1', 'n0', 1)));
  const ended = { name: 'attempt 0', trace, parent, start: 1000, attributes: {}, scope: 'aloft.propeller' };
  recordSpan({ ...ended, end: 2000 });
  recordSpan({ ...ended, end: 2500, failure: 'USER:X' });
  await tracing!.flush();
  expect(collector.spans).toEqual([
    expect.objectContaining({
      traceId: traceIdOf(sampled),
      spanId: spanIdOf(trace),
      parentSpanId: spanIdOf(parent),
      start: 1000,
      end: 2500,
      status: 'USER:X',
    }),
  ]);
});

test('a batch is part of the one trace it is about, or linked to all of them', async () => {
  start({ sampleRatio: 0 });
  const other = { traceparent: `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01` };
  withLinkedSpan([sampled, sampled, newTrace()], 'one', {}, () => undefined);
  withLinkedSpan([sampled, other], 'two', {}, () => undefined);
  withLinkedSpan([newTrace()], 'none', {}, () => undefined);
  await tracing!.flush();
  const byName = new Map(collector.spans.map((span) => [span.name, span]));
  expect([...byName.keys()].sort()).toEqual(['one', 'two']);
  expect(byName.get('one')).toMatchObject({ traceId: 'a'.repeat(32), parentSpanId: 'b'.repeat(16), links: [] });
  expect(byName.get('two')).toMatchObject({ parentSpanId: '' });
  expect(byName.get('two')!.links.map(({ traceId }) => traceId)).toEqual(['a'.repeat(32), 'c'.repeat(32)]);
});

test('a collector that is away costs spans and one line, nothing else', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const warnings: unknown[] = [];
  const logger = { warn: (fields: unknown) => warnings.push(fields) } as never;
  start({ otlpEndpoint: `http://127.0.0.1:${port}`, logger, maxQueued: 600 });
  for (let i = 0; i < 2_000; i += 1) spanFrom(sampled, 'lost').end();
  await tracing!.flush();
  expect(warnings).toEqual([expect.objectContaining({ url: `http://127.0.0.1:${port}/v1/traces` })]);
}, 30_000);
