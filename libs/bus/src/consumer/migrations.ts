import type { Migration } from '@aloft/database';

/** Tables of consumers in their service's own schema: run `migrate(database, 'bus', busMigrations)`. */
export const busMigrations: readonly Migration[] = [
  {
    name: '0001 consumers',
    sql: `
-- A stream as one consumer group sees it: how far it got, and who may commit. One row, so that moving the position and
-- checking the lease are one statement in the consumer's commit.
CREATE TABLE bus_streams (
  group_name text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  position int8 NOT NULL DEFAULT 0,
  -- Rises with every change of owner: the fence.
  epoch int8 NOT NULL DEFAULT 0,
  owner text,
  -- The owner's database session: a lease whose session is gone is free, however long it has to run.
  session_pid int,
  session_start timestamptz,
  expires_at timestamptz,
  PRIMARY KEY (group_name, topic, partition)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

-- Messages set aside with their key: the first one failed, the others wait behind it.
CREATE TABLE bus_parked (
  group_name text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  position int8 NOT NULL,
  key text NOT NULL,
  reason text NOT NULL,
  parked_at timestamptz NOT NULL,
  envelope bytea NOT NULL,
  PRIMARY KEY (group_name, topic, partition, position)
);
CREATE INDEX bus_parked_key ON bus_parked (group_name, key, position);
`,
  },
];
