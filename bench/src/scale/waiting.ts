import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { quantile } from '../commit-time.js';
import { gated, sleeping } from '../shapes.js';
import { cpuEach, round } from '../processes.js';
import { ScaleRun } from './scale-run.js';

/** Launches under way at once, and runs of which the platform is warm before anything is measured. */
const atOnce = 256;
const warmRuns = 2_000;
const wakes = 300;
const month = 30 * 24 * 3600;
/** Runs leave memory a minute after the last thing that happened to them. */
const quietMs = 100_000;

/**
 * So many runs that wait, half of them for an approval, half of them asleep for a month; what memory they take while they do, and
 * how long it takes from an approval until the watcher of that run hears of its end.
 */
export async function* waitingWorkload(size: number): AsyncIterable<object> {
  const run = await ScaleRun.start();
  try {
    await run.client.register(gated(run.version), run.version);
    await run.client.register(sleeping(run.version, month), run.version);
    const warm = await launchMany(run, warmRuns);
    for (const id of warm.gated.slice(0, 100)) await wake(run, id);
    await pause(quietMs);
    const before = run.usage();
    const started = performance.now();
    const { gated: waiting } = await launchMany(run, size);
    const launched = run.usage();
    const seconds = (performance.now() - started) / 1000;
    await pause(quietMs);
    const held = run.usage();
    const samples: number[] = [];
    for (let i = 0; i < wakes; i++) {
      const [id] = waiting.splice(Math.floor(Math.random() * waiting.length), 1);
      samples.push(await wake(run, id!));
    }
    yield {
      workload: 'waiting',
      n: size,
      launch_s: round(seconds),
      launches_per_s: round(size / seconds),
      cpu_ms_per_launch: cpuEach(before, launched, size),
      rss_before_mb: Math.round(before.rssMb),
      rss_launched_mb: Math.round(launched.rssMb),
      rss_held_mb: Math.round(held.rssMb),
      grown_mb: Math.round(held.rssMb - before.rssMb),
      peak_rss_mb: Math.round(held.peakRssMb),
      postgres_rss_mb: Math.round(held.postgresRssMb),
      wake_p50_ms: round(quantile(samples, 0.5)),
      wake_p99_ms: round(quantile(samples, 0.99)),
      commit_ms: run.commitMs(),
    };
  } finally {
    await run.stop();
  }
}

/** Every other one waits for an approval: those are returned. */
async function launchMany(run: ScaleRun, count: number): Promise<{ gated: WorkflowExecutionIdentifier[] }> {
  const gatedRuns: WorkflowExecutionIdentifier[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const workflow = next++ % 2 === 0 ? 'bench.gated' : 'bench.sleeping';
      const id = await run.client.launch(workflow, run.version, run.name());
      if (workflow === 'bench.gated') gatedRuns.push(id);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { gated: gatedRuns };
}

/** Milliseconds from the approval until the run's watcher hears that it has ended. */
async function wake(run: ScaleRun, id: WorkflowExecutionIdentifier): Promise<number> {
  let sent = 0;
  let ended = 0;
  const approve = async (): Promise<void> => {
    sent = performance.now();
    await run.client.approve(id, 'go');
  };
  await run.client.succeeded(id, { began: () => void approve(), ended: () => (ended = performance.now()) });
  return ended - sent;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
