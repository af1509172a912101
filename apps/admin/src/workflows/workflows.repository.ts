import { workflowModel } from '../listing/registry-models.js';
import { WorkflowRow } from '../registry/entities.js';
import { VersionedRepository } from '../registry/versioned.repository.js';

/** I/O on the table of workflows. */
export class WorkflowsRepository extends VersionedRepository<WorkflowRow> {
  constructor() {
    super(
      WorkflowRow,
      workflowModel,
      ['org', 'project', 'domain', 'name', 'version', 'interface', 'short_description', 'created_at'],
      {
        ...({ digest: 'bytea', spec: 'bytea', interface: 'bytea', qualityOfService: 'bytea' } as const),
        ...({ closureUri: 'text', closureDigest: 'bytea', shortDescription: 'text' } as const),
      },
    );
  }
}
