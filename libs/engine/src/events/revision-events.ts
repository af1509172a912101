import { type ControlNode, type NodeRevision } from '@aloft/idl/aloft/v1/bus';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { RunState } from '../state/run-state.js';
import { emit } from './emit.js';

/** Ids in one event: it must fit into a message. */
const idsPerEvent = 2000;

/** A control was decided upon; the history and the read model keep it as a revision. */
export function nodeRevised(
  run: RunState,
  control: ControlNode,
  specPath: string,
  more: { refused?: string; inherited?: boolean } = {},
): void {
  const { refused = '', inherited = false } = more;
  emit(run, {
    $case: 'nodeRevised',
    value: { control: withoutTask(control), specPath, at: run.now, refused, inherited },
  });
}

/** What a run that is a revision of another begins with. */
export function tellRevisions(run: RunState, revisions: readonly NodeRevision[]): void {
  for (const { control, specPath, inherited } of revisions) {
    if (!control) continue;
    run.controls.add(control.commandId);
    nodeRevised(run, control, specPath, { inherited });
  }
}

export function nodesReset(run: RunState, nodeIds: readonly string[]): void {
  for (let at = 0; at < nodeIds.length; at += idsPerEvent) {
    emit(run, { $case: 'nodesReset', value: { nodeIds: nodeIds.slice(at, at + idsPerEvent) } });
  }
}

/** A template may be large, and is registered: its id says it all. */
function withoutTask(control: ControlNode): ControlNode {
  if (control.control?.$case !== 'rerun' || !control.control.value.task) return control;
  const { value } = control.control;
  const task = TaskTemplate.fromPartial({ id: value.task!.id });
  return { ...control, control: { $case: 'rerun', value: { ...value, task } } };
}
