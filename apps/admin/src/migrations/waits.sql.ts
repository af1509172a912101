/** Why nodes wait (U-12), whole; who looks for the longest waits of all runs reads the index, which holds waiting nodes only. */
export const waitsSql = `
ALTER TABLE node_executions
  -- aloft.v1.WaitReason; wait_kind and wait_detail are parts of it.
  ADD COLUMN wait bytea,
  ADD COLUMN wait_since timestamptz;
CREATE INDEX node_executions_waiting ON node_executions (wait_since, id) WHERE wait_kind <> 0;
`;
