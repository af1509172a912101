import { randomUUID } from 'node:crypto';
import { sleepFanOut, sleepTask } from '../shapes.js';
import { round } from '../processes.js';
import { ScaleRun } from './scale-run.js';

const width = 5_000;
/** What every node does: sleeps so long, in a process. */
const seconds = 0.2;
/** Runs that are watched for the next step: their snapshots are work for the platform, too. */
const watched = 4;

/**
 * Runs of 5,000 nodes side by side, all of them launched: a few sleep, the others wait for their backend. Then SIGKILL to the platform, and
 * a new one on the same data. What is measured begins with the start of the new process (`recovery_s`; its serving begins at
 * `serving_s`) and ends when the first step that the new process was told of is done, as a watcher hears it.
 */
export async function* recoveryWorkload(size: number): AsyncIterable<object> {
  let run = await ScaleRun.start();
  try {
    await run.client.registerTask(run.version, sleepTask(run.version, seconds));
    await run.client.register(sleepFanOut(width, run.version, seconds), run.version);
    const ids = [];
    for (let nodes = 0; nodes < size; nodes += width) {
      ids.push(
        await run.client.launch(`bench.sleep_fanout_${width}`, run.version, `scale-${randomUUID().slice(0, 8)}`),
      );
    }
    const seen = [];
    for (const id of ids) await run.client.nodesBegun(id, width);
    for (const id of ids.slice(-watched)) seen.push({ id, sequence: await run.client.nodesBegun(id, width) });
    const before = run.usage();
    const killed = performance.now();
    const { folder } = run.platform;
    await run.platform.kill();
    run.client.close();
    const started = performance.now();
    const since = Date.now();
    run = await ScaleRun.start({ folder });
    const serving = performance.now();
    const atServing = run.usage();
    const { client } = run;
    await Promise.race(seen.map(({ id, sequence }) => client.nextStep(id, sequence, since)));
    const next = performance.now();
    const after = run.usage();
    yield {
      workload: 'recovery',
      n: size,
      serving_s: round((serving - started) / 1000),
      recovery_s: round((next - started) / 1000),
      from_kill_s: round((next - killed) / 1000),
      serving_cpu_ms: { ours: Math.round(atServing.oursCpuMs), postgres: Math.round(atServing.postgresCpuMs) },
      recovery_cpu_ms: { ours: Math.round(after.oursCpuMs), postgres: Math.round(after.postgresCpuMs) },
      rss_mb: Math.round(after.rssMb),
      rss_before_mb: Math.round(before.rssMb),
      commit_ms: run.commitMs,
    };
  } finally {
    await run.stop();
  }
}
