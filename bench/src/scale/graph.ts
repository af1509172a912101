import { cpuEach, round, type Usage } from '../processes.js';
import { joinTask, randomGraph } from '../shapes.js';
import { ScaleRun } from './scale-run.js';

/** Nodes of the graph that the large one is compared with. */
const small = 1000;

/**
 * A random graph of noop tasks, dispatched one by one; and what a node costs beside one of 1,000 nodes. Of those as many nodes run as the large
 * graph has, half of them before it and half after it: what the database and the collector do only now and then is in both.
 */
export async function* graphWorkload(size: number): AsyncIterable<object> {
  const smallRuns = Math.ceil(size / small / 2);
  const run = await ScaleRun.start();
  try {
    await run.client.registerTask(run.version, joinTask(run.version));
    const registrations: Record<number, number> = {};
    for (const nodes of [small, size]) {
      const started = performance.now();
      await run.client.register(randomGraph(nodes, run.version), run.version);
      registrations[nodes] = (performance.now() - started) / 1000;
    }
    // Warm: code, caches, connections, the compiled graphs.
    for (let i = 0; i < smallRuns; i++) await run.timed(`bench.graph_${small}`);
    await run.timed(`bench.graph_${size}`);
    // Before and after the large one: a machine that does other work, too, is not the same for minutes.
    const before = await measure(run, small, smallRuns);
    yield { ...before.row, registration_s: round(registrations[small]!) };
    const large = await measure(run, size, 1);
    const after = await measure(run, small, smallRuns);
    yield after.row;
    const ratio = (2 * large.cost) / (before.cost + after.cost);
    yield { ...large.row, registration_s: round(registrations[size]!), cost_beside_1000: round(ratio) };
  } finally {
    await run.stop();
  }
}

async function measure(run: ScaleRun, nodes: number, times: number): Promise<{ row: object; cost: number }> {
  const before: Usage = run.usage();
  let ms = 0;
  for (let i = 0; i < times; i++) ms += await run.timed(`bench.graph_${nodes}`);
  const after: Usage = run.usage();
  const done = nodes * times;
  const cpu = cpuEach(before, after, done);
  const row = {
    workload: 'graph',
    n: nodes,
    seconds: round(ms / 1000 / times),
    steps_per_s: round((done * 1000) / ms),
    cpu_ms_per_step: cpu,
    rss_mb: Math.round(after.rssMb),
    peak_rss_mb: Math.round(after.peakRssMb),
    commit_ms: run.commitMs(),
  };
  return { row, cost: cpu.ours + cpu.postgres };
}
