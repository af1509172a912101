import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { integerLiteral, mapOfNoops } from '../shapes.js';
import { cpuEach, round } from '../processes.js';
import { ScaleRun } from './scale-run.js';

/** One map task over a list of so many integers, each item a dispatched noop that gives its element back. */
export async function* arrayWorkload(size: number): AsyncIterable<object> {
  const run = await ScaleRun.start();
  try {
    await run.client.registerTask(run.version);
    await run.client.register(mapOfNoops(run.version), run.version);
    const inputs = (items: number) => ({ x: listOf(items) });
    await run.client.succeeded(await run.client.launch('bench.map', run.version, run.name(), inputs(1000)));
    const before = run.usage();
    const started = performance.now();
    const id = await run.client.launch('bench.map', run.version, run.name(), inputs(size));
    await run.client.succeeded(id);
    const ms = performance.now() - started;
    const after = run.usage();
    yield {
      workload: 'array',
      n: size,
      seconds: round(ms / 1000),
      steps_per_s: round((size * 1000) / ms),
      cpu_ms_per_step: cpuEach(before, after, size),
      rss_mb: Math.round(after.rssMb),
      peak_rss_mb: Math.round(after.peakRssMb),
      postgres_rss_mb: Math.round(after.postgresRssMb),
      commit_ms: run.commitMs(),
    };
  } finally {
    await run.stop();
  }
}

function listOf(items: number): Literal {
  const literals = Array.from({ length: items }, (_, at) => integerLiteral(BigInt(at)));
  return Literal.fromPartial({ value: { $case: 'collection', value: { literals } } });
}
