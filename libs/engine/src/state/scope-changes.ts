import type { NodeRevision } from '@aloft/idl/aloft/v1/bus';

/** What of a node may be taken over from the run that this one recovers. */
export const Fresh = {
  /** Everything. */
  Not: 0,
  /** Nothing: it was changed, or reads what was. */
  Anew: 1,
  /** Nodes inside it, but not its own end: one of them was changed. */
  Inside: 2,
} as const;

/** What people changed in a scope, and what makes that possible. Most scopes have none, and no memory for it. */
export class ScopeChanges {
  /** The attempt with which a node begins (again), where that isn't 0: numbers of attempts are never used twice. */
  readonly attempts = new Map<number, number>();
  /** No node outside {@link attempts} had a later one: 0, or enough for all where an older engine kept none of them. */
  lastAttempt = 0;
  /** How nodes run instead of as their workflow says. */
  readonly edits = new Map<number, NodeRevision>();
  /** Of each node, what a run with revisions may take over from another (see lifecycle/revisions.ts); absent where all may be. */
  fresh: Uint8Array | undefined;
  /** Outputs that were forgotten and are being recalled, with the waiting nodes that read them. */
  readonly recalls = new Map<number, number[]>();
  /** Nodes that a person brought to their end before their turn: the end node waits for what they would have waited for. */
  readonly early = new Set<number>();
}
