import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ExecutionEngine, ProjectSettingsServiceClient } from '@aloft/idl/aloft/v1/project_settings';
import { createClient } from '@aloft/rpc';
import { startPlatform, type MeasuredPlatform } from '../platform.js';
import { cpuEach, round, usageOf } from '../processes.js';
import { project } from '../shapes.js';

/** What a well-tuned flyteadmin 1.16.5 was measured at on such a machine, CPU milliseconds a call; of CreateExecution a third is the goal. */
const goals: readonly (readonly [rpc: string, from: number, to: number])[] = [
  ['CreateTask', 0.9, 1.3],
  ['GetTask', 0.2, 0.3],
  ['ListTasks_20', 0.5, 0.5],
  ['CreateWorkflow', 1.6, 1.9],
  ['CreateLaunchPlan', 1.0, 1.3],
  ['CreateExecution', 3.9 / 3, 4.6 / 3],
  ['GetExecution', 0.3, 0.3],
  ['ListExecutions_20', 1.0, 1.5],
  ['ListExecutions_100', 2.4, 3.3],
  ['CreateWorkflowEvent', 1.4, 1.7],
  ['CreateNodeEvent', 1.8, 1.8],
];

const idleSeconds = 10;

interface Done {
  rpc: string;
  calls: number;
  seconds: number;
  p50_ms: number;
  p99_ms: number;
}

/**
 * CPU of the server and Postgres a call beyond what both take when nobody calls, for a client outside the process (Flyte's stubs in Python, 16 in flight), `calls` each after a
 * quarter of that as warm-up. Runs belong to a project whose engine is EXTERNAL, so that only admin is measured.
 */
export async function* adminWorkload(calls: number, only: readonly string[]): AsyncIterable<object> {
  const python = process.env['ALOFT_BENCH_PYTHON'];
  if (python === undefined) throw new Error('ALOFT_BENCH_PYTHON must name a Python with flyteidl and grpcio');
  const platform = await startPlatform('embedded');
  const settings = createClient(ProjectSettingsServiceClient, platform.grpc);
  const load = new LoadClient(python, platform.grpc);
  try {
    await settings.updateProjectSettings({ project, org: '', engine: ExecutionEngine.EXTERNAL });
    await load.ready;
    await load.run('GetTask', calls);
    const idle = await idlePerSecond(platform.processes);
    yield { workload: 'admin', idle_ms_per_s: { ours: round(idle.ours), postgres: round(idle.postgres) } };
    const wanted = goals.filter(([rpc]) => only.length === 0 || only.includes(rpc));
    if (only.length > 0) await load.run('CreateExecution', calls); // Most others need some.
    for (const [rpc, from, to] of wanted) {
      await load.run(rpc, Math.ceil(calls / 4));
      const before = usageOf(platform.processes);
      const done = await load.run(rpc, calls);
      const after = usageOf(platform.processes);
      const cpu = cpuEach(before, after, done.calls);
      // What the platform does by itself meanwhile: on a busy machine, where the calls take long, that is a lot for each.
      const ours = Math.max(0, cpu.ours - (idle.ours * done.seconds) / done.calls);
      const postgres = Math.max(0, cpu.postgres - (idle.postgres * done.seconds) / done.calls);
      yield {
        workload: 'admin',
        rpc,
        calls: done.calls,
        cpu_ms: round(ours + postgres),
        goal_ms: from === to ? round(from) : `${round(from)}–${round(to)}`,
        ours_ms: round(ours),
        postgres_ms: round(postgres),
        with_idle_ms: round(cpu.ours + cpu.postgres),
        calls_per_s: round(done.calls / done.seconds),
        p50_ms: round(done.p50_ms),
        p99_ms: round(done.p99_ms),
      };
    }
  } finally {
    load.close();
    settings.close();
    await platform.stop();
  }
}

/** CPU milliseconds a second of a platform that nobody calls. */
async function idlePerSecond(processes: MeasuredPlatform['processes']): Promise<{ ours: number; postgres: number }> {
  const before = usageOf(processes);
  await new Promise((resolve) => setTimeout(resolve, idleSeconds * 1000));
  return cpuEach(before, usageOf(processes), idleSeconds);
}

/** The Python process: a line `<rpc> <calls>` in, a line of JSON out. */
class LoadClient {
  readonly ready: Promise<Done>;
  private readonly child;
  private readonly lines;

  constructor(python: string, grpc: string) {
    const script = fileURLToPath(new URL('../../admin/load.py', import.meta.url));
    this.child = spawn(python, [script, grpc, project], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface(this.child.stdout)[Symbol.asyncIterator]();
    this.ready = this.next();
  }

  async run(rpc: string, calls: number): Promise<Done> {
    this.child.stdin.write(`${rpc} ${calls}\n`);
    return this.next();
  }

  close(): void {
    this.child.stdin.end();
    this.child.kill();
  }

  private async next(): Promise<Done> {
    const { value, done } = await this.lines.next();
    if (done) throw new Error('the load client ended; what it said is above');
    return JSON.parse(value) as Done;
  }
}
