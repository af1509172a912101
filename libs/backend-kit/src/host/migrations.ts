import type { Migration } from '@aloft/database';

/** Tables of a backend host, in the schema `backends`; append only. */
export const backendMigrations: readonly Migration[] = [
  {
    name: 'backend-host',
    sql: `
      CREATE TABLE host (
        backend text NOT NULL,
        name text NOT NULL,
        epoch bigint NOT NULL,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (backend, name)
      );
      CREATE TABLE work (
        seq bigint GENERATED ALWAYS AS IDENTITY,
        backend text NOT NULL,
        key text NOT NULL,
        generation bigint NOT NULL,
        host text NOT NULL,
        command bytea NOT NULL,
        abort_reason text,
        PRIMARY KEY (backend, key)
      );
      CREATE INDEX work_of_host ON work (backend, host, seq);
      CREATE INDEX work_to_abort ON work (backend, host) WHERE abort_reason IS NOT NULL;
      CREATE TABLE finished (
        id text PRIMARY KEY,
        backend text NOT NULL,
        host text NOT NULL,
        reports bytea NOT NULL
      );
      CREATE TABLE fence (
        backend text NOT NULL,
        key text NOT NULL,
        generation bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (backend, key)
      );
      CREATE INDEX fence_by_age ON fence (backend, at);
      -- Short-lived rows: let autovacuum come early, so that the tables stay as small as what is in flight.
      ALTER TABLE work SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
      ALTER TABLE finished SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);
    `,
  },
  {
    name: 'shared-backends',
    sql: `
      -- Never the same number twice, even after a host's row is gone: a forgotten process must not take itself for its successor.
      CREATE SEQUENCE host_epoch;
      SELECT setval('host_epoch', (SELECT coalesce(max(epoch), 0) + 1 FROM host));
      -- The end, before anybody hears of it; how often a holder was lost. An empty host: nobody's, to be taken by any.
      ALTER TABLE work ADD COLUMN report bytea, ADD COLUMN losses int NOT NULL DEFAULT 0;
      -- Older generations that a host has to end before a newer one may start elsewhere.
      CREATE TABLE superseded (
        backend text NOT NULL,
        key text NOT NULL,
        generation bigint NOT NULL,
        host text NOT NULL,
        command bytea NOT NULL,
        PRIMARY KEY (backend, key, generation)
      );
    `,
  },
  {
    name: 'remembered',
    sql: `
      -- How a plugin finds its work again, where that is not told by the attempt itself: the id of a job, say.
      ALTER TABLE work ADD COLUMN remembered bytea;
      ALTER TABLE superseded ADD COLUMN remembered bytea;
    `,
  },
];
