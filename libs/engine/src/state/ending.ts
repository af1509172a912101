import type { ControlNode, TaskUsage } from '@aloft/idl/aloft/v1/bus';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import type { TimerPurpose } from './run-state.js';

/** What ends a node's attempts before they end by themselves. A later one takes the place of one before it in this list; numbers are in snapshots. */
export const Because = {
  /** What it was launched ahead of came to nothing (S-5): it begins anew, when that succeeds. */
  Upstream: -1,
  /** The attempt ran too long (C-50). */
  Execution: 0,
  /** Nobody ran it in time (C-52). */
  Queue: 1,
  /** All attempts together took too long (C-51). */
  Active: 2,
  /** Too many items failed (C-141). */
  Items: 3,
  /** A person asked for it. */
  Control: 4,
  /** What it is part of ends: its workflow failed, its run is aborted. */
  Abort: 5,
} as const;
export type Because = (typeof Because)[keyof typeof Because];

/** A node whose attempts were told to end, until their backends have said that nothing of them runs any more. */
export interface Ending {
  because: Because;
  reason: string;
  since: Timestamp;
  /** Of Because.Control. */
  command: ControlNode | undefined;
  /** Whose word is waited for: items, or -1 for the task itself. What runs in the scope under the node is waited for besides. */
  readonly unheard: Set<number>;
  /** What the task's attempt used, once its backend has said that it is over. */
  usage?: TaskUsage | undefined;
}

/** Likewise one item of an array, for whose attempt the time was over. */
export interface ItemEnding {
  purpose: TimerPurpose;
  since: Timestamp;
  heard: boolean;
}
