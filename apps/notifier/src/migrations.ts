import type { Migration } from '@aloft/database';

export const notifierMigrations: readonly Migration[] = [
  {
    name: '0001_ended_runs_and_deliveries',
    sql: `
      -- A queue: runs whose end is known and whose deliveries are not made yet.
      CREATE TABLE ended_runs (
        uid text PRIMARY KEY,
        org text NOT NULL, project text NOT NULL, domain text NOT NULL, name text NOT NULL,
        phase text NOT NULL,
        error text NOT NULL,
        attempts int NOT NULL DEFAULT 0,
        due_at timestamptz NOT NULL DEFAULT clock_timestamp()
      );
      CREATE INDEX ended_runs_due ON ended_runs (due_at);

      CREATE TABLE deliveries (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        run text NOT NULL,
        -- What asked for it: 'plan:<index>' of the run's notifications, or 'rule:<name>'.
        source text NOT NULL,
        channel text NOT NULL CHECK (channel IN ('slack', 'email')),
        -- An address, or the name of a webhook: never a secret.
        recipient text NOT NULL,
        subject text NOT NULL,
        body text NOT NULL,
        state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sending', 'sent', 'failed')),
        attempts int NOT NULL DEFAULT 0,
        -- pending: when to try; sending: when the attempt counts as lost with its process.
        due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        last_error text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        ended_at timestamptz,
        UNIQUE (run, source, channel, recipient)
      );
      CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state IN ('pending', 'sending');
      CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE state IN ('sent', 'failed');`,
  },
  {
    name: '0002_trace_and_time_of_the_end',
    sql: `
      -- Of the event that told of the end: what is done for it is part of the run's trace, and its delay can be measured.
      ALTER TABLE ended_runs ADD COLUMN traceparent text NOT NULL DEFAULT '', ADD COLUMN told_at timestamptz;
      ALTER TABLE deliveries ADD COLUMN traceparent text NOT NULL DEFAULT '', ADD COLUMN told_at timestamptz;`,
  },
];
