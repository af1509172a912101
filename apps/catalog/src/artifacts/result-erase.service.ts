import type { Database } from '@aloft/database';
import { invalidArgument } from '@aloft/errors';
import type { EraseResultsRequest, EraseResultsResponse } from '@aloft/idl/aloft/v1/retention';

const listed = 1_000;
const madeBy = `metadata ? 'execution-name' AND metadata->>'execution-name' = $1 AND metadata->>'exec-project' = $2 AND metadata->>'exec-domain' = $3
  AND coalesce(metadata->>'exec-org', '') = $4`;

/** Removing what a run left in the catalog (U-8): its artifacts say who made them (C-90). */
export class ResultEraseService {
  constructor(private readonly database: Database) {}

  async erase({ execution, dryRun }: EraseResultsRequest): Promise<EraseResultsResponse> {
    if (!execution || execution.name === '' || execution.project === '' || execution.domain === '')
      throw invalidArgument('execution: it must name an execution (project, domain, name)');
    const run = [execution.name, execution.project, execution.domain, execution.org];
    const { rows } = await this.database.query<{ id: string }>(
      // Tags go with their artifacts.
      dryRun ? `SELECT id FROM artifacts WHERE ${madeBy}` : `DELETE FROM artifacts WHERE ${madeBy} RETURNING id`,
      run,
    );
    return { artifactIds: rows.slice(0, listed).map(({ id }) => id), count: BigInt(rows.length) };
  }
}
