import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Collector } from '@aloft/telemetry/testing';
import { BenchClient } from './client.js';
import { commitMs, quantile } from './commit-time.js';
import { startPlatform, type Shape } from './platform.js';
import { cpuEach, round, usageOf, type Usage } from './processes.js';
import { stepParts } from './trace-table.js';
import { scaleWorkload } from './scale/index.js';
import { chain, fanOut, sleepChain, sleepTask } from './shapes.js';

/**
 * Noop tasks through the public API against a running platform: each is dispatched over the bus to a backend host and
 * reported back, everything is durable, and the read model's projection is waited for where the row says so.
 */
const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string', multiple: true },
    short: { type: 'boolean', default: false },
    repeat: { type: 'string', default: '3' },
    shape: { type: 'string', default: 'embedded' },
    trace: { type: 'boolean', default: false },
    workload: { type: 'string', multiple: true },
    size: { type: 'string' },
  },
});

if (options.workload) {
  const size = options.size === undefined ? undefined : Number(options.size);
  for (const name of options.workload) {
    for await (const row of scaleWorkload(name, size, options.only)) print(row);
  }
  process.exit(0);
}

interface Row {
  workload: string;
  shape: Shape;
  n: number;
  seconds: number;
  steps_per_s: number;
  ms_per_step: number;
  p50_ms: number;
  p99_ms: number;
  cpu_ms_per_step: { ours: number; postgres: number; kafka?: number; s3?: number };
  rss_mb: number;
  commit_ms: number;
}

function print(row: object): void {
  console.log(JSON.stringify(row));
  if (options.json) appendFileSync(options.json, `${JSON.stringify(row)}\n`);
}

const version = `bench-${Date.now()}`;
const repeat = options.short ? 1 : Number(options.repeat);
const shape = shapeOf(options.shape);
/** With `--trace` no figures, but where the time of a step goes: what is recorded costs time itself. */
const collector = options.trace ? await Collector.start() : undefined;
const platform = await startPlatform(
  shape,
  collector ? { environment: { ALOFT_TELEMETRY_OTLP_ENDPOINT: collector.endpoint } } : {},
);
const client = new BenchClient(platform.grpc);
const commit = commitMs(platform.dataDir);
let runs = 0;
const runName = () => `bench-${Date.now().toString(36)}-${runs++}`;

/** One run from launch to the read model's terminal phase; gives milliseconds until Watch said so, and until that. */
async function timeRun(workflow: string): Promise<{ watched: number; projected: number }> {
  const started = performance.now();
  let watched = 0;
  const id = await client.launch(workflow, version, runName());
  await client.succeeded(id, { ended: () => (watched = performance.now() - started) });
  return { watched, projected: performance.now() - started };
}

/** `steps` per sample; each sample's wall time in milliseconds. */
function report(workload: string, n: number, steps: number, samples: number[], before: Usage, after: Usage): void {
  const median = quantile(samples, 0.5);
  const done = steps * samples.length;
  const row: Row = {
    workload,
    shape,
    n,
    seconds: round(median / 1000),
    steps_per_s: round((steps * 1000) / median),
    ms_per_step: round(median / steps),
    p50_ms: round(median),
    p99_ms: round(quantile(samples, 0.99)),
    cpu_ms_per_step: {
      ...cpuEach(before, after, done),
      ...(shape === 'distributed'
        ? {
            kafka: round((after.kafkaCpuMs - before.kafkaCpuMs) / done),
            s3: round((after.s3CpuMs - before.s3CpuMs) / done),
          }
        : {}),
    },
    rss_mb: Math.round(after.rssMb),
    commit_ms: round(commit),
  };
  print(row);
}

function shapeOf(name: string): Shape {
  if (name === 'embedded' || name === 'distributed') return name;
  throw new Error(`--shape is "${name}", must be embedded or distributed`);
}

const wanted = (name: string): boolean => !options.only?.length || options.only.includes(name);

async function repeated(workload: string, workflow: string, n: number, times = repeat): Promise<void> {
  await timeRun(workflow); // Warm-up: code, caches, connections.
  const before = usageOf(platform.processes);
  const samples: number[] = [];
  for (let i = 0; i < times; i++) samples.push((await timeRun(workflow)).projected);
  report(workload, n, n, samples, before, usageOf(platform.processes));
}

/** On a platform that is in use, as {@link latency}: as much before as is measured. */
async function manyRuns(count: number, steps: number): Promise<void> {
  const workflow = `bench.chain_${steps}`;
  const allAtOnce = async (): Promise<number> => {
    const started = performance.now();
    await Promise.all(
      Array.from({ length: count }, async () => {
        await client.succeeded(await client.launch(workflow, version, runName()));
      }),
    );
    return performance.now() - started;
  };
  for (let i = 0; i < repeat; i++) await allAtOnce();
  const before = usageOf(platform.processes);
  const samples: number[] = [];
  for (let i = 0; i < repeat; i++) samples.push(await allAtOnce());
  report('c_many', count * steps, count * steps, samples, before, usageOf(platform.processes));
}

/** What is added to steps that take two seconds each, on a platform that has started processes before. */
async function slowSteps(n: number, seconds: number): Promise<void> {
  for (const each of [0, seconds]) {
    await client.registerTask(version, sleepTask(version, each));
    await client.register(sleepChain(n, version, each), version);
  }
  const workflow = `bench.sleep_chain_${n}_${seconds}`;
  for (let i = 0; i < 100; i++) await timeRun(`bench.sleep_chain_${n}_0`);
  await timeRun(workflow);
  const before = usageOf(platform.processes);
  const samples: number[] = [];
  for (let i = 0; i < repeat; i++) samples.push((await timeRun(workflow)).watched - n * seconds * 1000);
  report('e_slow', n, n, samples, before, usageOf(platform.processes));
}

/** Of a platform that is in use: the first thousand runs pay for the compiler. */
async function latency(times: number): Promise<void> {
  for (let i = 0; i < times; i++) await timeRun('bench.chain_1');
  const before = usageOf(platform.processes);
  const samples: number[] = [];
  for (let i = 0; i < times; i++) samples.push((await timeRun('bench.chain_1')).watched);
  report('d_latency', 1, 1, samples, before, usageOf(platform.processes));
}

try {
  await client.registerTask(version);
  for (const n of [1, 10, 100]) await client.register(chain(n, version), version);
  for (const n of options.short ? [1000] : [1000, 5000]) await client.register(fanOut(n, version), version);
  if (collector) await traced(collector);
  else await measured();
} finally {
  client.close();
  await platform.stop();
  await collector?.close();
}

async function traced(spans: Collector): Promise<void> {
  for (let i = 0; i < 3; i++) await timeRun('bench.chain_100');
  const name = runName();
  await client.succeeded(await client.launch('bench.chain_100', version, name));
  console.table(await stepParts(spans, name, 100));
}

async function measured(): Promise<void> {
  if (wanted('a_chain')) await repeated('a_chain', 'bench.chain_100', 100);
  if (wanted('b_fanout')) {
    await repeated('b_fanout', 'bench.fanout_1000', 1000);
    if (!options.short) await repeated('b_fanout', 'bench.fanout_5000', 5000);
  }
  if (wanted('c_many')) await manyRuns(options.short ? 100 : 500, 10);
  if (wanted('e_slow') && !options.short) await slowSteps(5, 2);
  if (wanted('d_latency')) await latency(options.short ? 100 : 1000);
}
