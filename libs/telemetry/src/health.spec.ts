import {
  createLogger,
  HealthRegistry,
  maxProjects,
  Metrics,
  newTrace,
  runFields,
  traceFrom,
  withTrace,
} from './index.js';

test('ready needs setServing and every check; a failing, throwing or silent check says why not', async () => {
  const health = new HealthRegistry(20);
  expect(await health.ready()).toEqual({ ok: false, checks: [{ name: 'serving', ok: false, reason: 'starting' }] });
  health.setServing(true);
  expect((await health.ready()).ok).toBe(true);
  const remove = health.add('ready', 'database', () => {
    throw new Error('no connection');
  });
  health.add('ready', 'bus', () => new Promise(() => undefined));
  expect(await health.ready()).toEqual({
    ok: false,
    checks: [
      { name: 'serving', ok: true },
      { name: 'database', ok: false, reason: 'no connection' },
      { name: 'bus', ok: false, reason: 'no answer within 20 ms' },
    ],
  });
  expect((await health.live()).ok).toBe(true);
  remove();
  expect((await health.ready()).checks.map(({ name }) => name)).toEqual(['serving', 'bus']);
  expect(() => health.add('ready', 'bus', () => undefined)).toThrow('exists already');
});

test('listeners hear of changes only', () => {
  const health = new HealthRegistry();
  const heard: boolean[] = [];
  const forget = health.onChange(() => heard.push(health.isServing));
  health.setServing(true);
  health.setServing(true);
  health.setServing(false);
  forget();
  health.setServing(true);
  expect(heard).toEqual([true, false]);
});

test('a metric asked for twice is the same one; another kind under its name is refused', async () => {
  const metrics = new Metrics();
  metrics.counter({ name: 'aloft_x_total', help: 'x', labels: ['a'] }).inc({ a: '1' });
  metrics.counter({ name: 'aloft_x_total', help: 'x', labels: ['a'] }).inc({ a: '1' });
  metrics.gauge({ name: 'aloft_y', help: 'y', collect: (gauge) => gauge.set(7) });
  const text = await metrics.text();
  expect(text).toContain('aloft_x_total{a="1"} 2');
  expect(text).toContain('aloft_y 7');
  expect(() => metrics.gauge({ name: 'aloft_x_total', help: 'x' })).toThrow('another kind');
});

test('a broken traceparent is replaced by a new trace', () => {
  const { traceparent } = newTrace();
  expect(traceFrom(traceparent, 'a=b')).toEqual({ traceparent, tracestate: 'a=b' });
  for (const broken of [undefined, '', 'x', `00-${'0'.repeat(32)}-${'1'.repeat(16)}-00`])
    expect(traceFrom(broken).traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
});

test('S-32: projects have series of their own up to a limit, the rest share one', () => {
  const metrics = new Metrics();
  const labels = Array.from({ length: maxProjects + 10 }, (_, i) => metrics.project(`p${i}`));
  expect(new Set(labels).size).toBe(maxProjects + 1);
  expect(labels.at(-1)).toBe('other');
  expect(metrics.project('p0')).toBe('p0');
  expect(metrics.project('')).toBe('other');
});

test('a line carries the trace that it is written in, and what run it is about', () => {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger('test', { destination: { write: (line) => void lines.push(JSON.parse(line)) } });
  const { traceparent } = newTrace();
  const about = runFields({ project: 'p', domain: 'd', name: 'x' }, 'u1', { nodeId: 'n0', retryAttempt: 2 });
  withTrace({ traceparent }, () => log.child({ part: 'a' }).info(about, 'said'));
  log.info('in no trace');
  expect(lines[0]).toMatchObject({ execution: 'p/d/x', run: 'u1', node: 'n0', attempt: 2, part: 'a' });
  expect(lines[0]).toMatchObject({ trace_id: traceparent.slice(3, 35), span_id: traceparent.slice(36, 52) });
  expect(lines[1]).not.toHaveProperty('trace_id');
});
