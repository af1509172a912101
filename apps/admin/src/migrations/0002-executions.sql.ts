/**
 * Executions and what the projection makes of `executions.events`. Closures are kept as encoded messages (lossless, one decode
 * a read); what filters and sorts use stands beside them in columns.
 */
export const executionsSql = `
CREATE TABLE executions (
  id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  uid uuid NOT NULL UNIQUE,
  org text NOT NULL, project text NOT NULL, domain text NOT NULL, name text NOT NULL,
  launch_entity text NOT NULL,
  launch_plan_project text NOT NULL, launch_plan_domain text NOT NULL, launch_plan_name text NOT NULL, launch_plan_version text NOT NULL,
  workflow_project text NOT NULL, workflow_domain text NOT NULL, workflow_name text NOT NULL, workflow_version text NOT NULL,
  task_project text, task_domain text, task_name text, task_version text,
  phase text NOT NULL,
  state smallint NOT NULL DEFAULT 0,
  mode smallint NOT NULL,
  spec bytea NOT NULL,
  closure bytea NOT NULL,
  settings bytea NOT NULL,
  inputs bytea, inputs_uri text, inputs_size bigint NOT NULL DEFAULT 0,
  user_inputs bytea, user_inputs_uri text,
  outputs bytea, outputs_uri text,
  started_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  duration_ns bigint,
  error_kind text, error_code text, abort_cause text,
  principal text NOT NULL,
  cluster text NOT NULL DEFAULT '',
  nesting integer NOT NULL DEFAULT 0,
  parent_execution_id bigint, parent_node_id text, parent_attempt integer,
  source_execution_uid uuid,
  quarantine_reason text,
  last_sequence bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (org, project, domain, name)
);
CREATE INDEX executions_newest ON executions (org, project, domain, created_at DESC);
CREATE INDEX executions_of_plan ON executions (org, launch_plan_project, launch_plan_domain, launch_plan_name)
  WHERE phase NOT IN ('SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT');

CREATE TABLE execution_tags (
  execution_id bigint NOT NULL,
  key text NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (execution_id, key, value)
);
CREATE INDEX execution_tags_by_key ON execution_tags (key, value);

CREATE TABLE node_executions (
  id bigint GENERATED ALWAYS AS IDENTITY,
  execution_id bigint NOT NULL,
  node_id text NOT NULL,
  parent_node_id text,
  parent_task text,
  spec_node_id text NOT NULL,
  phase text NOT NULL,
  closure bytea NOT NULL,
  metadata bytea NOT NULL,
  input_uri text NOT NULL DEFAULT '',
  inputs bytea, outputs bytea,
  dynamic_workflow_id bytea, dynamic_closure_uri text,
  is_parent boolean NOT NULL, is_dynamic boolean NOT NULL, is_array boolean NOT NULL,
  event_version smallint NOT NULL DEFAULT 0,
  wait_kind smallint NOT NULL DEFAULT 0, wait_detail text NOT NULL DEFAULT '',
  started_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  duration_ns bigint,
  error_kind text, error_code text, cache_status text,
  PRIMARY KEY (execution_id, node_id)
);

CREATE TABLE task_executions (
  id bigint GENERATED ALWAYS AS IDENTITY,
  execution_id bigint NOT NULL,
  node_id text NOT NULL,
  retry_attempt integer NOT NULL,
  task_org text NOT NULL, task_project text NOT NULL, task_domain text NOT NULL, task_name text NOT NULL, task_version text NOT NULL,
  phase text NOT NULL,
  phase_version bigint NOT NULL DEFAULT 0,
  closure bytea NOT NULL,
  input_uri text NOT NULL DEFAULT '',
  inputs bytea, outputs bytea,
  task_type text NOT NULL DEFAULT '',
  is_parent boolean NOT NULL DEFAULT false,
  usage bytea,
  started_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  duration_ns bigint,
  error_kind text, error_code text,
  PRIMARY KEY (execution_id, node_id, retry_attempt, task_project, task_domain, task_name, task_version, task_org)
);

CREATE TABLE signals (
  id bigint GENERATED ALWAYS AS IDENTITY,
  execution_id bigint NOT NULL,
  signal_id text NOT NULL,
  node_id text NOT NULL DEFAULT '',
  type bytea NOT NULL,
  value bytea,
  revision bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (execution_id, signal_id)
);
`;
