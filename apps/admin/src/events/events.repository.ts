import type { Queryable, Transaction } from '@aloft/database';
import { ExecutionClosure, ExecutionSpec } from '@aloft/idl/flyteidl/admin/execution';
import type { ProjectedExecution } from '../projection/projection.repository.js';
import type { ExecutionEngineName } from '../registry/entities.js';
import type { NameKey } from '../registry/identifiers.js';

/** An execution that events tell of, locked. */
export interface EventRun {
  key: NameKey;
  execution: ProjectedExecution;
  engine: ExecutionEngineName;
  /** The cluster that runs it; empty: none has said so yet. */
  cluster: string;
  parent: { executionId: bigint; nodeId: string; attempt: number } | undefined;
}

interface LockedRow extends NameKey {
  id: bigint;
  uid: string;
  closure: Buffer;
  outputs: Buffer | null;
  outputsUri: string | null;
  quarantineReason: string | null;
  lastSequence: bigint;
  engine: ExecutionEngineName;
  cluster: string;
  parentExecutionId: bigint | null;
  parentNodeId: string | null;
  parentAttempt: number | null;
}

const named = 'unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k(org, project, domain, name)';
const onKey = 'e.org = k.org AND e.project = k.project AND e.domain = k.domain AND e.name = k.name';

// In one order, so that two writers never wait for each other in a circle; the projection's is the same.
const lockStatement = {
  name: 'admin-events-lock',
  text: `SELECT e.id, e.uid, e.org, e.project, e.domain, e.name, e.closure, e.outputs, e.outputs_uri AS "outputsUri",
  e.quarantine_reason AS "quarantineReason", e.last_sequence AS "lastSequence", e.engine, e.cluster,
  e.parent_execution_id AS "parentExecutionId", e.parent_node_id AS "parentNodeId", e.parent_attempt AS "parentAttempt"
FROM ${named} JOIN executions e ON ${onKey} ORDER BY e.id FOR NO KEY UPDATE OF e`,
};

/** I/O that only events of foreign engines need; their rows are read and written by the projection's repository. */
export class EventsRepository {
  async lock(db: Queryable, keys: readonly NameKey[]): Promise<EventRun[]> {
    const { rows } = await db.query<LockedRow>(lockStatement, columnsOf(keys));
    return rows.map((row) => {
      const { id, uid, lastSequence, outputs, outputsUri, quarantineReason } = row;
      const closure = ExecutionClosure.decode(row.closure);
      return {
        key: keyOf(row),
        execution: { id, uid, lastSequence, state: { closure, outputs, outputsUri, quarantineReason } },
        engine: row.engine,
        cluster: row.cluster,
        parent:
          row.parentExecutionId === null
            ? undefined
            : { executionId: row.parentExecutionId, nodeId: row.parentNodeId ?? '', attempt: row.parentAttempt ?? 0 },
      };
    });
  }

  /** Which of these executions there are. */
  async existing(db: Queryable, keys: readonly NameKey[]): Promise<NameKey[]> {
    if (keys.length === 0) return [];
    const { rows } = await db.query<NameKey>(
      `SELECT e.org, e.project, e.domain, e.name FROM ${named} JOIN executions e ON ${onKey}`,
      columnsOf(keys),
    );
    return rows.map(keyOf);
  }

  /** Another cluster runs it: in the column that filters use, and in what clients read. */
  async setCluster(tx: Transaction, executionId: bigint, cluster: string): Promise<void> {
    const { rows } = await tx.query<{ spec: Buffer }>('SELECT spec FROM executions WHERE id = $1', [executionId]);
    const spec = ExecutionSpec.decode(rows[0]!.spec);
    if (spec.metadata)
      spec.metadata.systemMetadata = {
        namespace: '',
        ...spec.metadata.systemMetadata,
        executionCluster: cluster,
      };
    tx.send('UPDATE executions SET cluster = $2, spec = $3 WHERE id = $1', [
      executionId,
      cluster,
      Buffer.from(ExecutionSpec.encode(spec).finish()),
    ]);
  }

  /** Whom the end of a child is told to, if our own engine waits for it. */
  async ownParent(db: Queryable, executionId: bigint): Promise<(NameKey & { uid: string }) | undefined> {
    const { rows } = await db.query<NameKey & { uid: string }>(
      `SELECT uid, org, project, domain, name FROM executions WHERE id = $1 AND engine = 'ALOFT'`,
      [executionId],
    );
    return rows[0];
  }
}

const keyOf = ({ org, project, domain, name }: NameKey): NameKey => ({ org, project, domain, name });

function columnsOf(keys: readonly NameKey[]): string[][] {
  return (['org', 'project', 'domain', 'name'] as const).map((part) => keys.map((key) => key[part]));
}
