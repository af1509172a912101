import { randomUUID } from 'node:crypto';
import { sleepFanOut, sleepTask } from '../shapes.js';
import { round } from '../processes.js';
import { ScaleRun } from './scale-run.js';

const width = 5_000;
/** What every node does: sleeps so long, in a process. */
const seconds = 0.2;

/**
 * Runs of 5,000 nodes side by side, all of them launched and with their backend: a few sleep, the others wait there. Then SIGKILL to the platform,
 * and a new one on the same data. What is measured begins with the start of the new process. `serving_s`: it answers; `recovery_s`: the first
 * step that ends under it is durable, as its metrics say; `heard_s`: a watcher of the run that was launched last hears of a step of it.
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
    const begun = [];
    for (const id of ids) begun.push(await run.client.nodesBegun(id, width));
    while ((await attemptsOf(run)).known < size) await pause(500);
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
    const heard = run.client.nextStep(ids.at(-1)!, begun.at(-1)!, since).then(() => performance.now());
    while ((await attemptsOf(run)).ended === 0) await pause(25);
    const next = performance.now();
    const after = run.usage();
    yield {
      workload: 'recovery',
      n: size,
      serving_s: round((serving - started) / 1000),
      recovery_s: round((next - started) / 1000),
      heard_s: round(((await heard) - started) / 1000),
      from_kill_s: round((next - killed) / 1000),
      serving_cpu_ms: { ours: Math.round(atServing.oursCpuMs), postgres: Math.round(atServing.postgresCpuMs) },
      recovery_cpu_ms: { ours: Math.round(after.oursCpuMs), postgres: Math.round(after.postgresCpuMs) },
      rss_mb: Math.round(after.rssMb),
      rss_before_mb: Math.round(before.rssMb),
      commit_ms: run.commitMs(),
    };
  } finally {
    await run.stop();
  }
}

/** Of this process: attempts whose end is durable, and those and the ones that its backends hold. */
async function attemptsOf(run: ScaleRun): Promise<{ ended: number; known: number }> {
  const text = await (await fetch(`${run.platform.http}/metrics`)).text();
  const sum = (name: RegExp) => [...text.matchAll(name)].reduce((total, [, value]) => total + Number(value), 0);
  const ended = sum(/^aloft_propeller_attempts_total\{.*\} (\d+)$/gm);
  const held = sum(/^aloft_backend_attempts\{.*state="(?:waiting|running)".*\} (\d+)$/gm);
  return { ended, known: ended + held };
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
