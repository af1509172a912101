import { ControlNode, type NodeRevised } from '@aloft/idl/aloft/v1/bus';
import { Revision_State as State, type Revision } from '@aloft/idl/aloft/v1/control';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { timestampOf } from '../time.js';
import type { NameKey } from '../registry/identifiers.js';
import type { NewRevision, RevisionRow } from './revisions.repository.js';

/** What the run says when it ends before it has heard of a command. */
export const tooLate = 'the run ended before the command reached it';

/** A row as clients see it. `isOver`: the run has said all that it will ever say. */
export function toRevision(key: NameKey, row: RevisionRow, isOver: boolean): Revision {
  const late = isOver && row.state === State.PENDING;
  return {
    number: row.number,
    state: late ? State.REFUSED : row.state,
    at: timestampOf(row.at),
    control: ControlNode.decode(row.control),
    specPath: row.specPath,
    refused: late ? tooLate : row.refused,
    execution: row.startedName === null ? undefined : { ...nameOf(key), name: row.startedName },
  };
}

export const stateOf = ({ refused, inherited }: NodeRevised): State =>
  refused !== '' ? State.REFUSED : inherited ? State.INHERITED : State.APPLIED;

/** A template may be large, and is registered: its id says it all. */
export function withoutTemplate(control: ControlNode): ControlNode {
  if (control.control?.$case !== 'rerun' || !control.control.value.task) return control;
  const { value } = control.control;
  return {
    ...control,
    control: { $case: 'rerun', value: { ...value, task: TaskTemplate.fromPartial({ id: value.task!.id }) } },
  };
}

/** What the row of a decided revision becomes. */
export function decided(executionId: bigint, event: NodeRevised, at: string): NewRevision | undefined {
  const { control, specPath, refused } = event;
  return control && { executionId, state: stateOf(event), specPath, control, refused, startedName: null, at };
}

const nameOf = ({ org, project, domain, name }: NameKey) => ({ org, project, domain, name });
