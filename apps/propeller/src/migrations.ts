import type { Migration } from '@aloft/database';

/**
 * The engine's schema: log, snapshots, timers, reservations and one row a run. Leases, positions and parked messages lie in the
 * bus's tables of the same schema (`busMigrations`); nodes and tasks have no rows here, they are admin's read model.
 */
export const propellerMigrations: readonly Migration[] = [
  {
    name: 'runs, log, snapshots, timers',
    sql: `
      CREATE TABLE runs (
        uid uuid PRIMARY KEY,
        org text NOT NULL,
        project text NOT NULL,
        domain text NOT NULL,
        name text NOT NULL,
        -- Hash of the execution's key modulo 1024: the unit of ownership.
        shard smallint NOT NULL,
        -- flyteidl.core.WorkflowExecution.Phase
        phase smallint NOT NULL,
        -- Something has to be done when this run changes owner, though no message about it may come: requests without
        -- an answer, or an end whose history is not written yet.
        attention boolean NOT NULL,
        -- aloft.v1.StartExecution without its inputs.
        start bytea NOT NULL,
        traceparent text NOT NULL,
        tracestate text NOT NULL,
        -- Set when the engine could not apply an input: its messages are parked from then on.
        quarantine text,
        ended_at timestamptz,
        -- Set when the log became one history object; the row stays as the run's tombstone.
        history_uri text,
        created_at timestamptz NOT NULL DEFAULT now()
      ) WITH (fillfactor = 80);
      CREATE INDEX runs_attention ON runs (shard) WHERE attention;
      CREATE INDEX runs_by_name ON runs (org, project, domain, name);

      -- Truth: state is the fold of a run's entries. One row a run and commit.
      CREATE TABLE log (
        run_uid uuid NOT NULL,
        first_seq bigint NOT NULL,
        entry_count int NOT NULL,
        -- aloft.v1.LogSegment
        segment bytea NOT NULL,
        PRIMARY KEY (run_uid, first_seq)
      );
      -- Segments are small and written once: no compression, no detour through TOAST while they fit a page.
      ALTER TABLE log ALTER COLUMN segment SET STORAGE EXTERNAL;
      ALTER TABLE log SET (toast_tuple_target = 8160);

      CREATE TABLE snapshots (
        run_uid uuid PRIMARY KEY,
        -- The first entry that is not in it.
        next_seq bigint NOT NULL,
        state bytea NOT NULL,
        -- Where the closures lie that the state names: hex digest to URI.
        graphs jsonb NOT NULL
      );

      CREATE TABLE timers (
        run_uid uuid NOT NULL,
        timer bigint NOT NULL,
        shard smallint NOT NULL,
        fire_at timestamptz NOT NULL,
        PRIMARY KEY (run_uid, timer)
      );
      CREATE INDEX timers_due ON timers (fire_at);

      -- Reservations held for running attempts: whoever owns the run sends their heartbeats.
      CREATE TABLE reservations (
        run_uid uuid NOT NULL,
        attempt text NOT NULL,
        shard smallint NOT NULL,
        -- datacatalog.GetOrExtendReservationRequest
        request bytea NOT NULL,
        PRIMARY KEY (run_uid, attempt)
      );

      -- Children to be stopped, until admin has been told.
      CREATE TABLE child_aborts (
        run_uid uuid NOT NULL,
        name text NOT NULL,
        shard smallint NOT NULL,
        -- flyteidl.core.WorkflowExecutionIdentifier
        child bytea NOT NULL,
        cause text NOT NULL,
        PRIMARY KEY (run_uid, name)
      );

      -- Propellers alive: each takes its share of the shards.
      CREATE TABLE members (
        owner text PRIMARY KEY,
        seen_at timestamptz NOT NULL
      );
    `,
  },
  {
    name: 'since when what is under way',
    sql: `
      -- For metrics and traces only: when the nodes and attempts that had not ended began.
      ALTER TABLE snapshots ADD COLUMN times jsonb;
    `,
  },
  {
    name: 'members are those of the bus',
    // Counted with their sessions in bus_members: a process that was killed takes no share of the shards any more.
    sql: 'DROP TABLE members',
  },
];
