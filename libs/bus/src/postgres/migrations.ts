import type { Migration } from '@aloft/database';

/**
 * Tables of the `postgres` driver, in the schema `bus`. A row of `messages` holds the messages that one transaction
 * published to one stream (at most 256, or 256 KiB), each as four bytes of length and its envelope: one row and one
 * index entry a commit instead of one a message.
 */
export const postgresBusMigrations: readonly Migration[] = [
  {
    name: '0001 streams',
    sql: `
CREATE TABLE streams (
  topic text NOT NULL,
  partition int NOT NULL,
  -- Position of the last message. Updated under the row's lock inside the publisher's commit: position order is commit
  -- order, and a rollback leaves no gap.
  head int8 NOT NULL DEFAULT 0,
  PRIMARY KEY (topic, partition)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE messages (
  topic text NOT NULL,
  partition int NOT NULL,
  first int8 NOT NULL,
  last int8 NOT NULL,
  published_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  payload bytea NOT NULL,
  PRIMARY KEY (topic, partition, last)
) WITH (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);
-- Compressing costs more time than the bytes it saves.
ALTER TABLE messages ALTER COLUMN payload SET STORAGE EXTERNAL;

-- Up to where each consumer group has stored what it read: messages above are never trimmed.
CREATE TABLE groups (
  group_name text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  position int8 NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic, partition, group_name)
);

-- Which login roles may publish to which topics (LIKE patterns); the owner of this schema may always.
CREATE TABLE publishers (
  role name NOT NULL,
  pattern text NOT NULL,
  PRIMARY KEY (role, pattern)
);

-- Appends rows to streams and returns the streams' new heads. Streams come sorted, so that publishers never deadlock.
CREATE FUNCTION publish(
  topics text[], partitions int[], counts int[], row_streams int[], row_counts int[], row_sizes int[], data bytea
) RETURNS int8[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, bus, pg_temp AS $$
DECLARE
  heads int8[] := '{}';
  stream_head int8;
  next_position int8;
  next_row int := 1;
  next_byte int := 1;
BEGIN
  FOR i IN 1 .. cardinality(topics) LOOP
    IF session_user <> current_user AND NOT EXISTS (
      SELECT 1 FROM bus.publishers p WHERE p.role = session_user AND topics[i] LIKE p.pattern
    ) THEN
      RAISE insufficient_privilege USING MESSAGE = format('role %s may not publish to topic %s', session_user, topics[i]);
    END IF;
    UPDATE bus.streams SET head = head + counts[i]
      WHERE topic = topics[i] AND partition = partitions[i] RETURNING head INTO stream_head;
    IF NOT FOUND THEN
      INSERT INTO bus.streams AS s (topic, partition, head) VALUES (topics[i], partitions[i], counts[i])
        ON CONFLICT (topic, partition) DO UPDATE SET head = s.head + excluded.head RETURNING s.head INTO stream_head;
    END IF;
    heads := heads || stream_head;
    next_position := stream_head - counts[i] + 1;
    WHILE next_row <= cardinality(row_streams) AND row_streams[next_row] = i LOOP
      INSERT INTO bus.messages (topic, partition, first, last, payload) VALUES (
        topics[i], partitions[i], next_position, next_position + row_counts[next_row] - 1,
        substring(data FROM next_byte FOR row_sizes[next_row])
      );
      next_position := next_position + row_counts[next_row];
      next_byte := next_byte + row_sizes[next_row];
      next_row := next_row + 1;
    END LOOP;
  END LOOP;
  RETURN heads;
END $$;
REVOKE ALL ON FUNCTION publish FROM PUBLIC;
`,
  },
];
