import type { RunState } from './state/run-state.js';

/**
 * Numbered behaviours: what the engine does differently from how it once did. Every log entry carries those of the binary that
 * wrote it; a run keeps those of its **first** entry for its whole life, so that an old log folds to the same state and effects under
 * new code. A new behaviour that could change what an old log comes to takes the next bit here; bits are never used twice. (What
 * depends on a field that old start commands don't have needs none.)
 */
export const Behaviour = {
  /** Since November 2026. A task's template may carry a retry policy and time limits of its own (C-36, C-51, C-52). */
  TaskPolicies: 1 << 0,
  /** Since November 2026. A node's active timeout is a setting of its own; before, it was twice the node's timeout (C-51). */
  OwnActiveTimeout: 1 << 1,
  /** Since November 2026. The list of failed nodes is bounded, and names the node inside a branch that failed (C-61, C-62). */
  BoundedFailureList: 1 << 2,
  /** Since November 2026. A node that ends while it asks for a reservation gives it back, and failed items keep their checkpoints. */
  NothingLeftBehind: 1 << 3,
  /**
   * Since November 2026. Events tell more: for whose reservation an array's items wait (C-98); the link of a deck while its task runs,
   * and after it failed (C-110); what a recovered node had of the cache (C-80).
   */
  TellsMore: 1 << 4,
  /** Since November 2026. The cases of a branch that was recovered don't run again (C-80). */
  WholeBranches: 1 << 5,
  /** Since November 2026. Offloaded literals are read where the engine must look into them (C-105). */
  ReadsOffloaded: 1 << 6,
  /** Since November 2026. An attribute that isn't there is the author's error, however large the value is (C-103). */
  PathsAreUsers: 1 << 7,
  /** Since November 2026. A workflow whose outputs can't be bound ends also where its other nodes may go on; before, it never did. */
  SettlesFailedEnd: 1 << 8,
  /**
   * Since November 2026. A run that is aborted waits, before it says so, until its backends have said that its tasks are over: none of its
   * attempts begins after it was told to be.
   */
  AbortsHearBackends: 1 << 9,
  /** Since November 2026. An attempt that a time limit ended failed, and says of what; before, it was aborted without an error (C-50…C-52). */
  TimeoutsAreFailures: 1 << 10,
  /** Since November 2026. Nodes that wait say so in events: QUEUED already when parked, and why on node and task events (U-12). */
  TellsWaits: 1 << 16,
  /** Since November 2026. What an array's items used is told with it, and what an attempt used that was told to end (U-25). */
  TellsUse: 1 << 17,
  /** Since November 2026. Of an array with more items than are listed, events tell the states of all of them, packed in pages (C-147). */
  TellsItems: 1 << 18,
  /** Since November 2026. Where backends have dependencies between jobs, and runs use them, attempts are launched ahead of what they wait for (S-5). */
  LaunchesAhead: 1 << 19,
  /** Since November 2026. Launches of pod tasks say what their nodes override of the primary container, which the backend applies (C-180). */
  OverridesPods: 1 << 20,
} as const;
export type Behaviour = (typeof Behaviour)[keyof typeof Behaviour];

const known = Object.values(Behaviour).reduce((flags, flag) => flags | flag, 0);

/** What new runs begin with. */
export const currentBehaviours = BigInt(known);

/** @throws Error if the run was begun by a newer engine. */
export function adoptBehaviours(run: RunState, flags: bigint): void {
  const unknown = flags & ~currentBehaviours;
  if (unknown !== 0n) {
    throw new Error(
      `engine: the run was begun with behaviours 0x${flags.toString(16)}, of which this engine doesn't know ` +
        `0x${unknown.toString(16)}: a binary at least as new as the one that began it is needed`,
    );
  }
  run.behaviours = Number(flags);
}

export function behaves(run: RunState, behaviour: Behaviour): boolean {
  return (run.behaviours & behaviour) !== 0;
}
