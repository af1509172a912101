/** States of large arrays' items (C-147), a row for each thousand: aloft.v1.ItemPage. They go with their run. */
export const arrayItemsSql = `
CREATE TABLE array_items (
  execution_id bigint NOT NULL,
  node_id text NOT NULL,
  retry_attempt integer NOT NULL,
  first_index integer NOT NULL,
  states bytea NOT NULL,
  attempts bytea NOT NULL,
  PRIMARY KEY (execution_id, node_id, retry_attempt, first_index)
);
`;
