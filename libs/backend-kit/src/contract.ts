import type { LaunchTask, TaskAttempt, TaskOutcome, TaskUsage } from '@aloft/idl/aloft/v1/bus';
import type { TaskExecution_Phase, TaskLog } from '@aloft/idl/flyteidl/core/execution';
import type { BlobStore } from '@aloft/blob';
import type { Logger } from '@aloft/telemetry';

/**
 * The contract between the backend host and a plugin. The host takes commands from the bus, keeps its `work` table,
 * fences generations, gives slots, retries reports until the propeller's commit acknowledged them. A plugin only runs things.
 */
export interface BackendPlugin {
  /** Topic suffix: commands come from `tasks.commands.<name>`. */
  readonly name: string;
  /** What this machine or account offers; the host never has more in flight. Absent quantities are unlimited. */
  capacity(): Capacity;
  /** `undefined` if it can run this; else what is wrong and what would be right (a permanent USER error). */
  refuse(launch: LaunchTask): string | undefined;
  /**
   * Starts the attempt, or finds it running: launching the same `attempt.name` twice yields one job. Resolves when the
   * work is surely known to the backend; its phases arrive through `context.report`. Throwing UNAVAILABLE means "try again".
   */
  launch(launch: LaunchTask, context: AttemptContext): Promise<void>;
  /** After this host's death: find the work of these attempts again, and report on it; what is lost is reported as such. */
  adopt(launches: readonly LaunchTask[], contextOf: (attempt: TaskAttempt) => AttemptContext): Promise<void>;
  /** Ends everything of the attempt; harmless when there is nothing. Resolves when nothing of it runs any more. */
  abort(attempt: TaskAttempt, reason: string): Promise<void>;
  start?(): Promise<void>;
  /** Stops without ending work that can be adopted again. */
  stop(): Promise<void>;
}

export interface Capacity {
  cpu?: number;
  memoryBytes?: number;
  gpu?: number;
  /** Attempts in flight at once. */
  slots?: number;
}

export interface AttemptContext {
  readonly blob: BlobStore;
  readonly logger: Logger;
  report(report: PhaseReport): void;
}

export interface PhaseReport {
  phase: TaskExecution_Phase;
  reason?: string;
  logs?: TaskLog[];
  customInfo?: Record<string, unknown>;
  outcome?: TaskOutcome;
  usage?: TaskUsage;
  /** Default: now. */
  occurredAt?: Date;
}
