import type { Queryable, Statement } from '@aloft/database';
import { taskModel } from '../listing/registry-models.js';
import { TaskRow } from '../registry/entities.js';
import type { EntityKey } from '../registry/identifiers.js';
import { VersionedRepository } from '../registry/versioned.repository.js';

/** What lists show of a task. */
export type ListedRow = EntityKey & Pick<TaskRow, 'compiled' | 'shortDescription' | 'createdAt'>;

/** I/O on the table of tasks. */
export class TasksRepository extends VersionedRepository<TaskRow> {
  private readonly listedStatement: Statement = {
    name: 'admin-listed-tasks',
    text: this.ofKeys(['compiled', 'short_description AS "shortDescription"', 'created_at AS "createdAt"']),
  };

  constructor() {
    super(TaskRow, taskModel, ['name', 'version'], {
      ...({ digest: 'bytea', type: 'text', spec: 'bytea', compiled: 'bytea', interface: 'bytea' } as const),
      shortDescription: 'text',
    });
  }

  /** In any order. */
  async readListed(db: Queryable, keys: readonly EntityKey[]): Promise<ListedRow[]> {
    return (await db.query<ListedRow>(this.listedStatement, this.keyParameters(keys))).rows;
  }
}
