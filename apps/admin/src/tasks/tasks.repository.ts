import { taskModel } from '../listing/registry-models.js';
import { TaskRow } from '../registry/entities.js';
import { VersionedRepository } from '../registry/versioned.repository.js';

/** I/O on the table of tasks. */
export class TasksRepository extends VersionedRepository<TaskRow> {
  constructor() {
    super(
      TaskRow,
      taskModel,
      ['org', 'project', 'domain', 'name', 'version', 'compiled', 'short_description', 'created_at'],
      { digest: 'bytea', type: 'text', spec: 'bytea', compiled: 'bytea', interface: 'bytea', shortDescription: 'text' },
    );
  }
}
