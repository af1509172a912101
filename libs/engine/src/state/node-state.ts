/** Where a node is within its run. One byte a node; what else an active node needs is its {@link NodeWork}. */
export const NodeState = {
  /** Some upstream node isn't over. */
  Waiting: 0,
  /** Ready, but `max_parallelism` nodes are in flight (C-70). */
  Parked: 1,
  /** Asking what the recovered run has of it (C-80). */
  Recovering: 2,
  /** Its inputs are being composed or read. */
  Resolving: 3,
  /** Asking the catalog (C-93). */
  LookingUp: 4,
  /** Somebody else holds the reservation (C-95). */
  Reserved: 5,
  /** Launched; the backend hasn't said that it runs. */
  Launched: 6,
  Running: 7,
  /** A dynamic task's generated workflow is being compiled (C-150). */
  ResolvingGraph: 8,
  /** Nodes of a sub-workflow or a dynamic task run under it. */
  ScopeRunning: 9,
  /** A branch chose; the chosen node isn't over. */
  Chosen: 10,
  /** A gate waits for its signal, decision or time (C-130…C-132). */
  Gated: 11,
  ChildStarting: 12,
  ChildRunning: 13,
  ArrayRunning: 14,
  /** Its outputs, too large for a message, are being written. */
  StoringOutputs: 15,
  /** Its outputs go into the catalog (C-93). */
  Populating: 16,
  Succeeded: 17,
  Recovered: 18,
  Failed: 19,
  TimedOut: 20,
  Aborted: 21,
  Skipped: 22,
  /** An attempt failed; the next one's time hasn't come (C-36). */
  BackingOff: 23,
  /** Some upstream node isn't over, but its attempt is at its backend already, where it waits by itself (S-5), or was, and will be again. */
  Ahead: 24,
} as const;
export type NodeState = (typeof NodeState)[keyof typeof NodeState];

const S = NodeState;
const names = Object.keys(NodeState) as (keyof typeof NodeState)[];

const ends: NodeState[] = [S.Succeeded, S.Recovered, S.Failed, S.TimedOut, S.Aborted, S.Skipped];

/** Where a node may go from each state. A retry goes back to LookingUp, Launched or what its kind starts with. */
const transitions: Record<NodeState, NodeState[]> = {
  [S.Waiting]: [S.Parked, S.Recovering, S.Resolving, S.Ahead, S.Succeeded, S.Skipped, S.Aborted, S.Failed],
  // From here the next attempt of one that backed off goes on, too.
  [S.Parked]: [S.Recovering, S.Resolving, S.Launched, S.ScopeRunning, S.Gated, S.ChildStarting, ...ends],
  [S.Recovering]: [S.Resolving, ...ends],
  [S.Resolving]: [
    ...[S.LookingUp, S.Launched, S.ScopeRunning, S.Chosen, S.Gated, S.ChildStarting, S.ArrayRunning],
    ...[S.StoringOutputs, S.Populating, ...ends],
  ],
  [S.LookingUp]: [S.Launched, S.Reserved, ...ends],
  [S.Reserved]: [S.LookingUp, ...ends],
  [S.Launched]: [S.Launched, S.BackingOff, S.Running, S.ResolvingGraph, S.Populating, ...ends],
  [S.Running]: [S.Launched, S.BackingOff, S.ResolvingGraph, S.Populating, ...ends],
  [S.ResolvingGraph]: [S.Launched, S.BackingOff, S.ScopeRunning, S.Populating, ...ends],
  [S.ScopeRunning]: [S.Resolving, S.Launched, S.BackingOff, S.ScopeRunning, S.StoringOutputs, S.Populating, ...ends],
  [S.Chosen]: ends,
  [S.Gated]: [S.Gated, S.BackingOff, ...ends],
  [S.ChildStarting]: [S.ChildStarting, S.BackingOff, S.ChildRunning, ...ends],
  [S.ChildRunning]: [S.ChildStarting, S.BackingOff, ...ends],
  [S.ArrayRunning]: [S.Resolving, S.ArrayRunning, S.StoringOutputs, ...ends],
  [S.StoringOutputs]: [S.Populating, ...ends],
  [S.Populating]: ends,
  [S.Succeeded]: [],
  [S.Recovered]: [],
  [S.Failed]: [],
  [S.TimedOut]: [],
  [S.Aborted]: [],
  [S.Skipped]: [],
  [S.BackingOff]: [S.Parked, S.Launched, S.ScopeRunning, S.Gated, S.ChildStarting, ...ends],
  [S.Ahead]: [S.Ahead, S.Parked, S.Launched, S.Succeeded, S.Failed, S.Aborted, S.Skipped],
};

/** What a person may have begin anew: all but what never began. In-flight ones are aborted first. */
const resettable: NodeState[] = ends;

const allowed = new Uint32Array(names.length);
for (const name of names) {
  for (const to of transitions[NodeState[name]]) allowed[NodeState[name]]! |= 1 << to;
}

export function isOver(state: number): boolean {
  return state >= S.Succeeded && state <= S.Skipped;
}

/** Whether what hangs on the node may start (C-22). */
export function isSatisfied(state: number): boolean {
  return state === S.Succeeded || state === S.Recovered;
}

export function nameOf(state: number): string {
  return names[state] ?? `state ${state}`;
}

/** Back to Waiting, by a control. @throws Error from a state in which the node is in flight: a bug of the engine. */
export function assertResettable(from: number, node: string): void {
  if (!resettable.includes(from as NodeState)) {
    throw new Error(`engine: node ${node} can't begin anew from ${nameOf(from)}`);
  }
}

/** @throws Error on a transition that isn't declared: a bug of the engine. */
export function assertTransition(from: number, to: number, node: string): void {
  if ((allowed[from]! & (1 << to)) === 0) {
    throw new Error(`engine: node ${node} can't go from ${nameOf(from)} to ${nameOf(to)}`);
  }
}
