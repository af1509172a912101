import type { Scope } from './scope.js';

export const Step = {
  /** All upstream nodes are over: start the node, or skip it. */
  Ready: 0,
  /** Begin the node's next attempt. */
  Attempt: 1,
  /** Nothing runs in the scope any more: bring it to its end. */
  Settle: 2,
  /** A permit came free. */
  Unpark: 3,
  /** The backends have said that nothing runs any more of a node that is to end: it may. */
  Resume: 4,
  /** What the node waits for may have come so far that it can be launched ahead. */
  Ahead: 5,
  /** An attempt of the node came to nothing: what was launched ahead of it is taken back. */
  TakeBack: 6,
} as const;
export type Step = (typeof Step)[keyof typeof Step];

/** What is still to be done for the input at hand: an explicit list instead of recursion, so chains have no depth. */
export class WorkQueue {
  private readonly steps: number[] = [];
  private readonly nodes: number[] = [];
  private readonly scopes: (Scope | undefined)[] = [];
  private head = 0;
  /** Steps taken and edges followed since the run was made or restored: what tests count instead of time. */
  taken = 0;

  push(step: Step, scope: Scope | undefined, node: number): void {
    this.steps.push(step);
    this.nodes.push(node);
    this.scopes.push(scope);
  }

  /** Takes the oldest step; false when there is none. */
  take(visit: (step: Step, scope: Scope | undefined, node: number) => void): boolean {
    if (this.head === this.steps.length) {
      this.steps.length = this.nodes.length = this.scopes.length = 0;
      this.head = 0;
      return false;
    }
    const at = this.head++;
    this.taken++;
    visit(this.steps[at] as Step, this.scopes[at], this.nodes[at]!);
    return true;
  }
}
