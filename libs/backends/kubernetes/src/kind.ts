import type { PhaseReport } from '@aloft/backend-kit';
import type { LaunchTask, TaskAttempt, TaskOutcome, TaskUsage } from '@aloft/idl/aloft/v1/bus';
import type { ClusterClient } from './cluster/client.js';
import type { ClusterObject, Resource } from './cluster/resource.js';

export type Launch = LaunchTask & { attempt: TaskAttempt };
export type Failure = PhaseReport & { outcome: TaskOutcome };

/** Where an attempt's object is made. */
export interface Place {
  client: ClusterClient;
  namespace: string;
  name: string;
}

/** How an attempt ended, as its object tells it; what the task wrote is looked at besides. */
export type End =
  /** What it wrote is its outcome. */
  | { how: 'well'; usage: TaskUsage; at: Date }
  /** `failure` holds unless the task wrote an error of its own. */
  | { how: 'badly'; failure: Failure; usage: TaskUsage; at: Date }
  /** `failure` holds whatever it wrote. */
  | { how: 'cut short'; failure: Failure; usage: TaskUsage; at: Date };

/** What an object says of its attempt now. */
export interface Sight {
  /** While it goes on; absent: nothing that was not known. */
  report?: PhaseReport;
  end?: End;
  /** Milliseconds of the epoch from when the same object says something else: a patience ends. */
  lookAgainAt?: number;
}

/**
 * The first of the levels on which a plugin can be written, "object and status": a launch becomes an object of the cluster, and the
 * object a phase. What creates, watches, finds again and deletes objects is the driver (`KubernetesBackend`); a kind is pure but for `build`.
 */
export interface ObjectKind {
  readonly resource: Resource;
  /** Several pods of an attempt each write an error of their own, of which the earliest counts (C-171). */
  readonly distributed?: boolean;
  /** Whether it is this kind that runs the launch. */
  takes(launch: LaunchTask): boolean;
  /** As in `BackendPlugin`. */
  refuse(launch: LaunchTask): string | undefined;
  /** The object without name, namespace and the labels of ours. @throws INVALID_ARGUMENT, FAILED_PRECONDITION … as `BackendPlugin.launch` does */
  build(launch: Launch, place: Place): Promise<ClusterObject>;
  look(object: ClusterObject, launch: Launch, now: number): Sight;
  /** What it used until `at` (milliseconds of the epoch), as far as it tells itself; `undefined` before it runs. */
  useUntil(object: ClusterObject, launch: Launch, at: number): TaskUsage | undefined;
  /** What of an object has to be kept. */
  slim(object: ClusterObject): ClusterObject;
  /** Whether it ended, and without a failure of its own: what the task wrote is not known here. */
  endedWell(object: ClusterObject): boolean;
  /** Whether something of it runs although the attempt is over. */
  lingers(object: ClusterObject): boolean;
}
