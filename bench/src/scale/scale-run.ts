import { commitMs } from '../commit-time.js';
import { BenchClient } from '../client.js';
import { startPlatform, type MeasuredPlatform, type PlatformOptions } from '../platform.js';
import { round, usageOf, type Usage } from '../processes.js';

/** A platform with a client, for one workload. */
export class ScaleRun {
  readonly version = `bench-${Date.now()}`;
  private runs = 0;

  private constructor(
    readonly platform: MeasuredPlatform,
    readonly client: BenchClient,
  ) {}

  static async start(options: PlatformOptions = {}): Promise<ScaleRun> {
    const environment = {
      // A workflow of 100,000 nodes is a message of 19 MB.
      ALOFT_GRPC_MAX_MESSAGE_BYTES: String(64 * 1024 * 1024),
      ALOFT_ADMIN_LIMITS_WORKFLOW_NODES: '1000000',
      ...options.environment,
    };
    const platform = await startPlatform('embedded', { ...options, environment });
    return new ScaleRun(platform, new BenchClient(platform.grpc));
  }

  /** Median of a durable append to its disk, now; takes a moment. */
  commitMs(): number {
    return round(commitMs(this.platform.dataDir));
  }

  usage(): Usage {
    return usageOf(this.platform.processes);
  }

  name(): string {
    return `scale-${Date.now().toString(36)}-${this.runs++}`;
  }

  /** Milliseconds from the launch until the read model has the run's end. */
  async timed(workflow: string): Promise<number> {
    const started = performance.now();
    await this.client.succeeded(await this.client.launch(workflow, this.version, this.name()));
    return performance.now() - started;
  }

  async stop(): Promise<void> {
    this.client.close();
    await this.platform.stop();
  }
}
