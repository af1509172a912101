import type { Database } from '@aloft/database';
import { notFound } from '@aloft/errors';
import { ControlNode, type NodeRevision } from '@aloft/idl/aloft/v1/bus';
import { Revision_State as State } from '@aloft/idl/aloft/v1/control';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { requireIdentifier } from '../registry/identifiers.js';
import type { TasksService } from '../tasks/tasks.service.js';
import type { RevisionRow, RevisionsRepository } from './revisions.repository.js';

const page = 500;

/**
 * What a run that descends from another keeps of its changes: how nodes run (inputs, task, resources), should they run
 * again. Outputs that were set by hand need none of this: they are what the node gave.
 */
export class InheritedRevisions {
  constructor(
    private readonly database: Database,
    private readonly revisions: RevisionsRepository,
    private readonly tasks: TasksService,
  ) {}

  async of(executionId: bigint): Promise<NodeRevision[]> {
    const kept: NodeRevision[] = [];
    for (let after = 0; ;) {
      const rows = await this.revisions.list(this.database, executionId, after, page);
      for (const row of rows) {
        const control = await this.keptOf(row);
        if (control) kept.push({ specPath: row.specPath, control, inherited: true });
      }
      if (rows.length < page) return kept;
      after = rows[rows.length - 1]!.number;
    }
  }

  private async keptOf(row: RevisionRow): Promise<ControlNode | undefined> {
    const inForce = row.state === State.INHERITED || (row.state === State.APPLIED && row.startedName === null);
    const control = ControlNode.decode(row.control);
    if (!inForce || control.control?.$case !== 'rerun') return undefined;
    const { value } = control.control;
    if (!value.inputs && !value.task && !value.overrides) return undefined;
    if (!value.task) return control;
    // Kept without its template.
    const key = requireIdentifier(value.task.id, ResourceType.TASK, 'task');
    const task = (await this.tasks.find(key))?.compiled.template;
    if (!task) throw notFound(`task ${key.name}@${key.version}, which a revision put into the run, is gone`);
    return { ...control, control: { $case: 'rerun', value: { ...value, task } } };
  }
}
