/** U-8: how long runs are kept, what must not go, and receipts of what went. Receipts outlive what they tell of. */
export const retentionSql = `
CREATE TABLE retention_policies (
  org text NOT NULL, project text NOT NULL, domain text NOT NULL, label_key text NOT NULL, label_value text NOT NULL,
  -- Seconds since a run's end; null = never.
  archive_after bigint, erase_after bigint,
  updated_at timestamptz NOT NULL DEFAULT now(),
  principal text NOT NULL,
  PRIMARY KEY (org, project, domain, label_key, label_value)
);

CREATE TABLE legal_holds (
  org text NOT NULL,
  id text NOT NULL,
  project text NOT NULL, domain text NOT NULL, label_key text NOT NULL, label_value text NOT NULL, execution text NOT NULL,
  reason text NOT NULL,
  principal text NOT NULL,
  set_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org, id)
);

CREATE TABLE erasures (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  uid uuid NOT NULL UNIQUE,
  org text NOT NULL, project text NOT NULL, domain text NOT NULL, name text NOT NULL,
  parent_id uuid,
  reason text NOT NULL,
  principal text NOT NULL,
  requested_at timestamptz NOT NULL DEFAULT now(),
  -- aloft.v1.Removed: what there was, written before anything goes.
  removed bytea,
  done_at timestamptz,
  problem text NOT NULL DEFAULT '',
  attempts integer NOT NULL DEFAULT 0,
  -- When it is to be tried; while a process works on it, when that process counts as lost.
  due_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erasures_open ON erasures (due_at) WHERE done_at IS NULL;
CREATE INDEX erasures_by_name ON erasures (org, project, domain, name, number);
CREATE INDEX erasures_of_parent ON erasures (parent_id) WHERE parent_id IS NOT NULL;

-- One replica at a time looks for what is due.
CREATE TABLE retention_turn (one boolean PRIMARY KEY DEFAULT true CHECK (one), holder text NOT NULL, until timestamptz NOT NULL);

CREATE INDEX executions_of_parent ON executions (parent_execution_id) WHERE parent_execution_id IS NOT NULL;
`;
