import type { Queryable } from '@aloft/database';
import { ControlNode } from '@aloft/idl/aloft/v1/bus';
import type { Revision_State } from '@aloft/idl/aloft/v1/control';

export interface RevisionRow {
  commandId: string;
  number: number;
  state: Revision_State;
  specPath: string;
  control: Buffer;
  refused: string;
  /** Name of the run that was started for it. */
  startedName: string | null;
  at: Date;
}

export interface NewRevision {
  executionId: bigint;
  state: Revision_State;
  specPath: string;
  /** Of a task only its id. */
  control: ControlNode;
  refused: string;
  startedName: string | null;
  /** As Postgres takes it. */
  at: string;
}

const columns = `r.command_id AS "commandId", r.number, r.state, r.spec_path AS "specPath", r.control, r.refused,
  r.started_name AS "startedName", r.at`;

// Their runs' rows are locked: nobody else counts on meanwhile. What was decided replaces what was asked, and keeps its number.
const upsert = {
  name: 'admin-upsert-node-revisions',
  text: `INSERT INTO node_revisions (execution_id, command_id, state, spec_path, control, refused, started_name, at, number)
SELECT v.execution_id, v.command_id, v.state, v.spec_path, v.control, v.refused, v.started_name, v.at,
  (SELECT coalesce(max(number), 0) FROM node_revisions r WHERE r.execution_id = v.execution_id)
    + row_number() OVER (PARTITION BY v.execution_id ORDER BY v.place)
FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::timestamptz[])
    WITH ORDINALITY AS v(execution_id, command_id, state, spec_path, control, refused, started_name, at, place)
ON CONFLICT (execution_id, command_id) DO UPDATE SET state = excluded.state, refused = excluded.refused,
  spec_path = CASE WHEN excluded.spec_path = '' THEN node_revisions.spec_path ELSE excluded.spec_path END`,
};

/** I/O on the table of revisions. */
export class RevisionsRepository {
  async find(db: Queryable, executionId: bigint, commandId: string): Promise<RevisionRow | undefined> {
    const { rows } = await db.query<RevisionRow & Record<string, unknown>>(
      `SELECT ${columns} FROM node_revisions r WHERE r.execution_id = $1 AND r.command_id = $2`,
      [executionId, commandId],
    );
    return rows[0];
  }

  /** The caller holds the locks of their executions. */
  async save(db: Queryable, revisions: readonly NewRevision[]): Promise<void> {
    if (revisions.length === 0) return;
    await db.query(upsert, [
      revisions.map((each) => each.executionId),
      revisions.map((each) => each.control.commandId),
      revisions.map((each) => each.state),
      revisions.map((each) => each.specPath),
      revisions.map((each) => Buffer.from(ControlNode.encode(each.control).finish())),
      revisions.map((each) => each.refused),
      revisions.map((each) => each.startedName),
      revisions.map((each) => each.at),
    ]);
  }

  /** Oldest first, those after number `after`. */
  async list(db: Queryable, executionId: bigint, after: number, limit: number): Promise<RevisionRow[]> {
    const { rows } = await db.query<RevisionRow & Record<string, unknown>>(
      `SELECT ${columns} FROM node_revisions r WHERE r.execution_id = $1 AND r.number > $2 ORDER BY r.number LIMIT $3`,
      [executionId, after, limit],
    );
    return rows;
  }
}
