/**
 * What people changed of single nodes. Written with the command, and again by the projection when the run has decided; rows that
 * only the events know (a run that begins as a revision) are made by the projection.
 */
export const nodeRevisionsSql = `
CREATE TABLE node_revisions (
  execution_id bigint NOT NULL,
  command_id text NOT NULL,
  number integer NOT NULL,
  state smallint NOT NULL,
  spec_path text NOT NULL,
  control bytea NOT NULL,
  refused text NOT NULL DEFAULT '',
  started_name text,
  at timestamptz NOT NULL,
  PRIMARY KEY (execution_id, command_id)
);
CREATE INDEX node_revisions_in_order ON node_revisions (execution_id, number);
`;
