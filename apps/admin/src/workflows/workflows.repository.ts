import type { Queryable } from '@aloft/database';
import { workflowModel } from '../listing/registry-models.js';
import { WorkflowRow } from '../registry/entities.js';
import type { EntityKey } from '../registry/identifiers.js';
import { VersionedRepository } from '../registry/versioned.repository.js';

const closureStatement = {
  name: 'admin-workflow-closure',
  text: `SELECT closure FROM workflows WHERE org = $1 AND project = $2 AND domain = $3 AND name = $4 AND version = $5`,
};

/** I/O on the table of workflows. */
export class WorkflowsRepository extends VersionedRepository<WorkflowRow> {
  constructor() {
    super(
      WorkflowRow,
      workflowModel,
      ['org', 'project', 'domain', 'name', 'version', 'interface', 'short_description', 'created_at'],
      {
        ...({
          digest: 'bytea',
          spec: 'bytea',
          interface: 'bytea',
          qualityOfService: 'bytea',
          closure: 'bytea',
        } as const),
        ...({ closureUri: 'text', closureDigest: 'bytea', shortDescription: 'text' } as const),
      },
    );
  }

  /** The CompiledWorkflowClosure, if it is in the row. */
  async closure(db: Queryable, { org, project, domain, name, version }: EntityKey): Promise<Buffer | null> {
    const values = [org, project, domain, name, version];
    const { rows } = await db.query<{ closure: Buffer | null }>(closureStatement, values);
    return rows[0]?.closure ?? null;
  }
}
