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
  {
    name: '0002 marks, members and outbox',
    sql: `
-- What a driver needs besides the position to go on from it (Kafka: the last sequence seen of each source).
ALTER TABLE bus_streams ADD COLUMN mark text;

-- Who shares a group's streams now.
CREATE TABLE bus_members (
  group_name text NOT NULL,
  topic text NOT NULL,
  owner text NOT NULL,
  session_pid int NOT NULL,
  session_start timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (group_name, topic, owner)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

-- What this service publishes, until a relay has brought it to an outside broker (the kafka driver). One relay a stream:
-- its lease is the row of bus_streams with the group '@outbox'.
CREATE TABLE bus_outbox_streams (
  topic text NOT NULL,
  partition int NOT NULL,
  -- Sequence of the last message, from 1 without gaps. Updated under the row's lock inside the publisher's commit.
  head int8 NOT NULL DEFAULT 0,
  PRIMARY KEY (topic, partition)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE bus_outbox (
  topic text NOT NULL,
  partition int NOT NULL,
  first int8 NOT NULL,
  last int8 NOT NULL,
  published_at timestamptz NOT NULL,
  payload bytea NOT NULL,
  PRIMARY KEY (topic, partition, last)
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
ALTER TABLE bus_outbox ALTER COLUMN payload SET STORAGE EXTERNAL;

-- Appends rows to streams and returns their new heads, and when. Streams come sorted, so that publishers never deadlock.
CREATE FUNCTION bus_outbox_publish(
  topics text[], partitions int[], counts int[], row_streams int[], row_counts int[], row_sizes int[], data bytea,
  OUT heads int8[], OUT at_ms int8
) LANGUAGE plpgsql AS $$
DECLARE
  stream_head int8;
  next_sequence int8;
  now_at timestamptz;
  next_row int := 1;
  next_byte int := 1;
BEGIN
  heads := '{}';
  FOR i IN 1 .. cardinality(topics) LOOP
    UPDATE bus_outbox_streams SET head = head + counts[i]
      WHERE topic = topics[i] AND partition = partitions[i] RETURNING head INTO stream_head;
    IF NOT FOUND THEN
      INSERT INTO bus_outbox_streams AS s (topic, partition, head) VALUES (topics[i], partitions[i], counts[i])
        ON CONFLICT (topic, partition) DO UPDATE SET head = s.head + excluded.head RETURNING s.head INTO stream_head;
    END IF;
    heads := heads || stream_head;
  END LOOP;
  -- Under the streams' locks: later sequences have later times.
  now_at := date_trunc('milliseconds', clock_timestamp());
  at_ms := extract(epoch FROM now_at) * 1000;
  FOR i IN 1 .. cardinality(topics) LOOP
    next_sequence := heads[i] - counts[i] + 1;
    WHILE next_row <= cardinality(row_streams) AND row_streams[next_row] = i LOOP
      INSERT INTO bus_outbox (topic, partition, first, last, published_at, payload) VALUES (
        topics[i], partitions[i], next_sequence, next_sequence + row_counts[next_row] - 1, now_at,
        substring(data FROM next_byte FOR row_sizes[next_row])
      );
      next_sequence := next_sequence + row_counts[next_row];
      next_byte := next_byte + row_sizes[next_row];
      next_row := next_row + 1;
    END LOOP;
  END LOOP;
END $$;
`,
  },
  {
    name: 'advance',
    sql: `
-- Moves positions, and raises if one is not where the caller thinks or its epoch is over: a fence that needs nobody to look
-- at its answer can travel in the same packet as COMMIT.
CREATE FUNCTION bus_advance(
  consumer text, topics text[], partitions int[], begins int8[], ends int8[], epochs int8[], marks text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  found_position int8;
  found_epoch int8;
  found_owner text;
BEGIN
  FOR i IN 1 .. cardinality(topics) LOOP
    UPDATE bus_streams SET position = ends[i], mark = coalesce(marks[i], mark)
      WHERE group_name = consumer AND topic = topics[i] AND partition = partitions[i]
        AND position = begins[i] AND epoch = epochs[i];
    IF FOUND THEN CONTINUE; END IF;
    SELECT position, epoch, owner INTO found_position, found_epoch, found_owner FROM bus_streams
      WHERE group_name = consumer AND topic = topics[i] AND partition = partitions[i];
    RAISE EXCEPTION USING ERRCODE = 'AL001', MESSAGE = format(
      'group %s: refused to move its position: %s/%s %s', consumer, topics[i], partitions[i], CASE
        WHEN found_epoch IS NULL THEN 'was never leased'
        WHEN found_epoch <> epochs[i]
          THEN format('is at epoch %s of %s, not %s', found_epoch, coalesce(found_owner, 'nobody'), epochs[i])
        ELSE format('is at position %s, not %s', found_position, begins[i])
      END);
  END LOOP;
END $$;
`,
  },
];
