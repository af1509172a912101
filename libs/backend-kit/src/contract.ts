import type { BlobStore } from '@aloft/blob';
import type { LaunchTask, TaskAttempt, TaskOutcome, TaskUsage, WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import type { TaskExecution_Phase, TaskLog } from '@aloft/idl/flyteidl/core/execution';
import type { Logger } from '@aloft/telemetry';

/**
 * The contract between the backend host and a plugin. The host takes commands from the bus, keeps its `work` table,
 * fences generations, gives slots and repeats reports until the propeller's commit has acknowledged them. A plugin only
 * runs things: it says what it can run, starts it, reports phases, ends it, and finds it again after its own death.
 *
 * `@aloft/backend-kit/testing` holds the conformance suite that every plugin must pass.
 */
export interface BackendPlugin {
  /** Topic suffix: commands come from `tasks.commands.<name>`. */
  readonly name: string;

  /**
   * From where its work can be reached. `anywhere`: a later holder finds it and follows it (a cluster, a cloud service).
   * `host` (default): only where it was started (processes); another host starts it anew, once it is surely dead there.
   */
  readonly reach?: 'host' | 'anywhere';

  /**
   * `offered` (default): where one process has the backend, an attempt is launched while its row is being written, and `adopt` finds what a
   * dead process began without one. `stored`: it is launched once its row is durable, so that what is remembered of it is never lost with a commit.
   */
  readonly launches?: 'offered' | 'stored';

  /** What this machine or account offers; the host never has more in flight. Absent quantities are unlimited. */
  capacity(): Capacity;

  /** Task types that it has found out to be its own, where it can (connectors list theirs): nobody has to route them here. */
  taskTypes?(): readonly string[];

  /** `undefined` if it can run this; else what is wrong and what would be right (a permanent USER error). */
  refuse(launch: LaunchTask): string | undefined;

  /**
   * Why it has no place as things are configured, or stand at the service, which may be another answer some day: a queue that is not there, a role that is
   * not allowed, more than any of its machines has. The attempt fails or waits, as its run's routing says; whoever waits is asked about again when
   * the host starts, and when {@link HostView.placesChanged} is called.
   */
  noPlace?(launch: LaunchTask): string | undefined;

  /**
   * For task types without a process: their terminal report at once, in the host's own turn of the event loop. `undefined`
   * for every other type. Such attempts take no slot and no row of their own; running one twice must be harmless.
   */
  runInline?(launch: LaunchTask): PhaseReport | undefined;

  /**
   * Starts the attempt, or finds it running: launching the same attempt twice yields one job. Resolves when the work is
   * surely known to the backend; its phases arrive through `context.report`, the last of them terminal. Throwing an error
   * whose bus disposition is `retry` (UNAVAILABLE …) means "try again later"; any other ends the attempt.
   */
  launch(launch: LaunchTask, context: AttemptContext): Promise<void>;

  /**
   * After `start`, before `adopt`, where it is told at once: keys of those of these attempts that this host may have begun. All others surely never
   * started; they wait again, and are taken in little by little, however many they are. Without it, `adopt` is asked about everything.
   */
  begun?(attempts: readonly HeldAttempt[]): Promise<readonly string[]>;

  /**
   * After this host's death: finds the work of these attempts again and goes on reporting on it; what was started and is
   * lost is reported as a retryable SYSTEM failure. Returns the attempts that surely never started: the host launches
   * them again. Called after `start` with everything that this host holds and may have begun (possibly nothing), `exclusive`: whatever the
   * backend has of this host beyond that may be cleaned up. Plugins that reach work anywhere are called again, without it,
   * with what this host took over from others.
   */
  adopt(
    launches: readonly LaunchTask[],
    contextOf: (attempt: TaskAttempt) => AttemptContext,
    scope: { exclusive: boolean },
  ): Promise<TaskAttempt[]>;

  /**
   * Only where hosts share a backend, before `start` and again after each renewal: this host holds its work until then, in
   * seconds of `os.uptime()` (which counts on while processes or the machine sleep). Work that ends with its host must be
   * dead soon after, whatever became of the host: another one may start it.
   */
  holdUntil?(uptimeSeconds: number): void;

  /**
   * Ends everything of the attempt; harmless when there is nothing. Resolves when nothing of it runs any more. `remembered` is what
   * the attempt's context last remembered, for a process that has nothing else of it.
   */
  abort(attempt: TaskAttempt, reason: string, remembered?: Uint8Array): Promise<void>;

  /** The terminal reports of these were acknowledged: whatever was kept for asking about them again may go. */
  forget?(attempts: readonly TaskAttempt[]): Promise<void>;

  start?(host?: HostView): Promise<void>;

  /** Stops without ending work that can be adopted again. */
  stop(): Promise<void>;
}

/** An attempt of an earlier process of this host, by what its row says without its command. */
export interface HeldAttempt {
  /** As `attemptKey` makes it. */
  readonly key: string;
  readonly generation: number;
  /** How often it was begun anew because its host was lost. */
  readonly losses: number;
  /** Whether anything is remembered of it. */
  readonly remembered: boolean;
}

/** What a plugin may ask its host. */
export interface HostView {
  /**
   * Those of these attempts that some host of this backend has yet (waiting, running, or ended and not acknowledged). What a backend has of others,
   * for longer than a commit takes, is nobody's.
   */
  held(attempts: readonly TaskAttempt[]): Promise<TaskAttempt[]>;
  /** Says that `noPlace` may have other answers now. */
  placesChanged(): void;
}

export interface Capacity {
  /** Cores; fractions allowed. */
  cpu?: number;
  memoryBytes?: number;
  gpu?: number;
  /** Attempts in flight at once. */
  slots?: number;
}

export interface AttemptContext {
  readonly blob: BlobStore;
  readonly logger: Logger;
  /** How often the attempt was begun anew because the host that had it was lost; keeps such starts apart. */
  readonly restarts: number;
  /** Whether this host still holds the attempt: what is written elsewhere for it must not be written any more if not. */
  holds(): boolean;
  /** What {@link remember} was last given, also by an earlier process or another host. */
  readonly remembered: Uint8Array | undefined;
  /**
   * Writes down how the work is found again (the id of a job; at most 64 KiB): it is durable when this resolves, and whoever has the attempt
   * after this host is given it. Rejects with ABORTED where the attempt is not held here any more.
   */
  remember(state: Uint8Array): Promise<void>;
  /** Later reports replace earlier ones that were not sent yet; after a terminal one nothing is taken any more. */
  report(report: PhaseReport): void;
}

export interface PhaseReport {
  phase: TaskExecution_Phase;
  reason?: string;
  /**
   * In a phase before RUNNING, what it waits for, where that is something else than the phase tells by itself (room for
   * WAITING_FOR_RESOURCES, the image for INITIALIZING with a reason): LIMIT, QUOTA, BACKOFF … (U-12).
   */
  waitsFor?: WaitReason_Kind;
  /**
   * What another launch's `dependsOn` may call the attempt's job: only where `launch.route.nativeDependencies` is set, and only of a job that succeeds just if
   * its task does. Kept from the previous report when absent.
   */
  job?: string;
  /** With ABORTED, of an attempt with `dependsOn`: it never began, since one of these jobs has not succeeded. It is launched again. */
  upstreamFailed?: boolean;
  /** Kept from the previous report when absent; so are `customInfo` and `usage`. */
  logs?: TaskLog[];
  customInfo?: Record<string, unknown>;
  /** Set with a terminal phase. */
  outcome?: TaskOutcome;
  usage?: TaskUsage;
  /** Default: now. */
  occurredAt?: Date;
}
