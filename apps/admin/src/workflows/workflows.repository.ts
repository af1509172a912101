import { workflowModel } from '../listing/list-models.js';
import { WorkflowRow } from '../registry/entities.js';
import { VersionedRepository } from '../registry/versioned.repository.js';

/** I/O on the table of workflows. */
export class WorkflowsRepository extends VersionedRepository<WorkflowRow> {
  constructor() {
    super(
      WorkflowRow,
      workflowModel,
      ['org', 'project', 'domain', 'name', 'version', 'interface', 'short_description', 'created_at'],
      ['digest', 'spec', 'interface', 'qualityOfService', 'closureUri', 'closureDigest', 'shortDescription'],
    );
  }
}
