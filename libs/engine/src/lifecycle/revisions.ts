import type { ControlNode, LiteralsValue, NodeRevision } from '@aloft/idl/aloft/v1/bus';
import { rerunOf } from '../data/task-settings.js';
import { inlineValue } from '../data/values.js';
import type { RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';
import { Fresh } from '../state/scope-changes.js';

/**
 * What a run that is a revision of another begins with: edits of single nodes, by their spec paths. An edited node and
 * everything downstream of it take nothing over from the recovered run; the nodes around it are entered, to get to it.
 */
export function applyRevisions(run: RunState, scope: Scope): void {
  // A retry needs nothing: what failed in the other run is tried again anyhow, from its last checkpoint.
  const revisions = (run.start?.revisions ?? []).filter(({ control }) => control?.control?.$case !== 'retry');
  const around = scope.parent?.scope.changes?.fresh?.[scope.parent.node] ?? Fresh.Not;
  if (around === Fresh.Anew) freshOf(scope).fill(Fresh.Anew);
  if (revisions.length === 0) return;
  for (let node = 0; node < scope.template.count; node++) {
    const path = scope.specPath(node);
    for (const revision of revisions) {
      if (revision.specPath === path) edit(scope, node, revision);
      else if (!revision.inherited && revision.specPath.startsWith(`${path}/`) && !scope.changes?.fresh?.[node]) {
        freshOf(scope)[node] = Fresh.Inside;
      }
    }
  }
}

function edit(scope: Scope, node: number, revision: NodeRevision): void {
  const { edits } = scope.change();
  const before = edits.get(node);
  edits.set(node, before ? merged(before, revision) : revision);
  if (!revision.inherited) freshOf(scope)[node] = Fresh.Anew;
}

/** A later rerun changes what it names and keeps the rest of an earlier one. */
export function merged(before: NodeRevision, after: NodeRevision): NodeRevision {
  const [old, now] = [before.control?.control, after.control?.control];
  if (old?.$case !== 'rerun' || now?.$case !== 'rerun') return after;
  const inputs = { ...old.value.inputs?.literals, ...now.value.inputs?.literals };
  const value = {
    inputs: Object.keys(inputs).length > 0 ? { literals: inputs } : undefined,
    task: now.value.task ?? old.value.task,
    overrides: now.value.overrides ?? old.value.overrides,
  };
  return { ...after, control: { ...(after.control as ControlNode), control: { $case: 'rerun', value } } };
}

export function freshOf(scope: Scope): Uint8Array {
  return (scope.change().fresh ??= new Uint8Array(scope.template.count));
}

/** Whether the node takes nothing over from the recovered run. A branch's case goes with its branch. */
export function isAnew(scope: Scope, node: number): boolean {
  if (scope.changes?.fresh?.[node] === Fresh.Anew) return true;
  const branch = scope.template.branchOf[node]!;
  return branch >= 0 && isAnew(scope, branch);
}

/** Whether a node inside it was changed: its own end in the recovered run says nothing any more. */
export function isChangedInside(scope: Scope, node: number): boolean {
  return scope.changes?.fresh?.[node] === Fresh.Inside;
}

/** Outputs that the node was given before it began. */
export function setOutputsOf(scope: Scope, node: number): LiteralsValue | undefined {
  const revision = scope.changes?.edits.get(node);
  const control = revision?.control?.control;
  if (control?.$case !== 'setOutputs' || revision?.inherited) return undefined;
  return inlineValue(control.value.outputs?.literals ?? {});
}

/** Keeps a change for all attempts of the node from now on. */
export function keepEdit(scope: Scope, node: number, control: ControlNode): void {
  const revision: NodeRevision = { specPath: scope.specPath(node), control, inherited: false };
  const { edits } = scope.change();
  const before = edits.get(node);
  edits.set(node, before && rerunOf(scope, node) ? merged(before, revision) : revision);
}
