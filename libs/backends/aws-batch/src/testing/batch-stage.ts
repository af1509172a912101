import { BackendHost, isTerminal, type BackendPlugin } from '@aloft/backend-kit';
import { MemoryBus, MemoryWorkStore } from '@aloft/backend-kit/testing';
import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import { TaskReport, type LaunchTask, type TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { BatchApi, backendOf, type AwsBatchOptions } from '../index.js';
import { testLogger, testOptions } from './batch-world.js';

/** One host after another of the backend, with bus and rows that outlive them, and the ends that they told. */
export class BatchStage {
  readonly bus = new MemoryBus();
  readonly store = new MemoryWorkStore();
  /** Last report by name of the attempt and generation. */
  readonly ends = new Map<string, TaskReport>();
  /** Terminal reports that came although one was there. */
  readonly repeated: string[] = [];
  /** Called with every report. */
  onReport: ((report: TaskReport) => void) | undefined;
  api!: BatchApi;
  private plugin: BackendPlugin | undefined;
  private host: BackendHost | undefined;
  private waiters: (() => void)[] = [];

  constructor(
    private readonly endpoint: string,
    readonly blob: BlobStore,
    private readonly options: Partial<AwsBatchOptions> = {},
  ) {
    this.bus.delivery = (messages) => {
      for (const { envelope } of messages) this.heard(TaskReport.decode(envelope.payload));
      // They are counted here; a million of them need not be kept.
      setImmediate(() => (this.bus.reports.length = 0));
      return 'acknowledge';
    };
  }

  async start(): Promise<void> {
    const options = testOptions(this.endpoint, { slots: 100_000, ...this.options });
    this.api = new BatchApi(options, testLogger);
    this.plugin = backendOf(this.api, options);
    this.host = new BackendHost({
      plugin: this.plugin,
      bus: this.bus,
      database: undefined as unknown as Database,
      store: this.store,
      blob: this.blob,
      logger: testLogger,
      name: 'host-1',
      relaunchMs: { first: 10, longest: 100 },
      reports: { backoffMs: { first: 5, longest: 50 }, timeoutMs: 5_000, coalesceMs: 5 },
    });
    await this.host.start();
  }

  /** As SIGKILL: nothing of it is called any more, what it was doing is cut off. */
  async kill(): Promise<void> {
    this.bus.detach();
    this.host?.vanish();
    this.host = undefined;
    await this.plugin?.stop();
  }

  async stop(): Promise<void> {
    await this.host?.stop();
    this.host = undefined;
  }

  launch(...launches: LaunchTask[]): Promise<void> {
    return this.bus.command(...launches.map((launch) => ({ launch })));
  }

  abort(...attempts: TaskAttempt[]): Promise<void> {
    return this.bus.command(...attempts.map((abort) => ({ abort, reason: 'enough' })));
  }

  /** Resolves when so many attempts have ended. */
  async ended(count: number): Promise<void> {
    while (this.ends.size < count) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /** How many ended how. */
  get tally(): Record<string, number> {
    const tally: Record<string, number> = {};
    for (const { phase } of this.ends.values()) tally[Phase[phase]] = (tally[Phase[phase]] ?? 0) + 1;
    return tally;
  }

  private heard(report: TaskReport): void {
    this.onReport?.(report);
    if (!isTerminal(report.phase) || !report.attempt) return;
    const key = `${report.attempt.name}/${report.attempt.generation}`;
    const before = this.ends.get(key);
    if (before && before.phase !== report.phase)
      this.repeated.push(`${key}: ${Phase[before.phase]}, ${Phase[report.phase]}`);
    this.ends.set(key, report);
    for (const wake of this.waiters.splice(0)) wake();
  }
}
