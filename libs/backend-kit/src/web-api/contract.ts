import type { AloftError } from '@aloft/errors';
import type { LaunchTask, TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import type { AttemptContext, Capacity, HostView, PhaseReport } from '../contract.js';

export type Launch = LaunchTask & { attempt: TaskAttempt };

/**
 * A service outside that has jobs: they are created, asked for and deleted over a web API. What such a plugin does not have to care about is done by
 * `WebApiBackend`: jobs are remembered before anybody hears of them and found again after a death, they are asked for together and at a bounded
 * rate, less often the longer they run; what cannot be reached is asked again; deletes are repeated until they are acknowledged.
 */
export interface WebApi<Handle> {
  /** Topic suffix, as in `BackendPlugin`. */
  readonly name: string;

  capacity(): Capacity;

  /** As in `BackendPlugin`. */
  taskTypes?(): readonly string[];

  /** As in `BackendPlugin`: what is wrong with it, for good. */
  refuse(launch: LaunchTask): string | undefined;

  /** As in `BackendPlugin`: why there is no place for it now. */
  noPlace?(launch: LaunchTask): string | undefined;

  /**
   * Creates the job. UNAVAILABLE, RESOURCE_EXHAUSTED (which says that surely nothing was created) …: tried again later; any other error ends the
   * attempt. Services that answer with the
   * result at once give the attempt's end instead of a handle; `signal` aborts when nobody wants it any more. A creation that it cuts off may have
   * happened all the same: with `find` that job is looked for and deleted, without it leave the signal alone, and what you answer is deleted.
   */
  create(launch: Launch, context: AttemptContext, signal: AbortSignal): Promise<Created<Handle>>;

  /**
   * For services that can tell: the job of this attempt and generation, created by a process that died before it could remember it, or by a creation
   * whose answer was lost. Asked for only where that may be: of attempts taken over from a dead process, and after an error of `create` other
   * than RESOURCE_EXHAUSTED. With it an attempt is one job whatever happens; without it a death between creation and remembering creates a second one.
   * It was created before `createdBefore` (of `performance.now()`), if at all: what the service said earlier than that does not count.
   */
  find?(attempt: TaskAttempt, createdBefore: number): Promise<Handle | undefined>;

  /**
   * How these jobs are, in their order; at most `batch` of them at a time. An error of one job is its own: NOT_FOUND means that the service does
   * not know it (any more), UNIMPLEMENTED and PERMISSION_DENIED that it never will, after all others it is asked again. What it throws is of all of them.
   */
  get(asked: readonly Asked<Handle>[]): Promise<readonly (PhaseReport | AloftError)[]>;

  /** Deletes the job; NOT_FOUND is as good as done. Repeated until it does not throw. */
  delete(handle: Handle, reason: string): Promise<void>;

  /** A handle as it is remembered, at most 64 KiB. */
  encode(handle: Handle): Uint8Array;
  decode(bytes: Uint8Array): Handle;

  /**
   * For services that tell by themselves that something changed: by which names they tell so of a job. The backend gives `changed` before `start`; called with
   * such a name it asks for the jobs of that name at once, and answers whether it has any. Polling goes on, and may be slow.
   */
  namesOf?(handle: Handle): readonly string[];
  listen?(changed: (name: string) => boolean): void;

  start?(host?: HostView): Promise<void>;
  stop?(): Promise<void>;
}

export type Created<Handle> = { handle: Handle; report?: PhaseReport } | { end: PhaseReport };

export interface Asked<Handle> {
  launch: Launch;
  context: AttemptContext;
  handle: Handle;
}

export interface WebApiLimits {
  /** Milliseconds until a job is asked for the first time, and at most between two times; each pause is a half longer than the one before. */
  pollMs: { first: number; longest: number };
  /** Jobs in one call of `get`. */
  batch: number;
  /** Calls under way at once, and begun each second: of `get`, and of `create` and `delete` together. */
  reads: { concurrency: number; perSecond: number };
  writes: { concurrency: number; perSecond: number };
  /** A job that the service does not know is lost after so many answers that say so. */
  lostAfter: number;
  /** Milliseconds for which a job may be answered with errors alone before its attempt fails. */
  patienceMs: number;
}

export const defaultLimits: WebApiLimits = {
  pollMs: { first: 250, longest: 10_000 },
  batch: 1,
  reads: { concurrency: 32, perSecond: 200 },
  writes: { concurrency: 32, perSecond: 100 },
  lostAfter: 3,
  patienceMs: 600_000,
};
