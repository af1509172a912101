/** Registry: immutable versions with their digest, interface and the bytes as they were sent; names; attributes. */
export const registrySql = `
CREATE TABLE projects (
  org text NOT NULL DEFAULT '',
  identifier text NOT NULL,
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  labels jsonb NOT NULL DEFAULT '{}',
  state smallint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org, identifier)
);
INSERT INTO projects (identifier, name, description) VALUES
  ('flytesnacks', 'flytesnacks', 'Where Flyte''s tools register by default'),
  ('aloft', 'aloft', 'Examples and demonstrations of Aloft');

CREATE TABLE tasks (
  id bigint GENERATED ALWAYS AS IDENTITY,
  org text NOT NULL, project text NOT NULL, domain text NOT NULL, name text NOT NULL, version text NOT NULL,
  type text NOT NULL,
  digest bytea NOT NULL,
  spec bytea NOT NULL,
  compiled bytea NOT NULL,
  interface bytea NOT NULL,
  short_description text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org, project, domain, name, version)
);
CREATE INDEX tasks_newest ON tasks (org, project, domain, created_at DESC);

CREATE TABLE workflows (
  id bigint GENERATED ALWAYS AS IDENTITY,
  org text NOT NULL, project text NOT NULL, domain text NOT NULL, name text NOT NULL, version text NOT NULL,
  digest bytea NOT NULL,
  spec bytea NOT NULL,
  interface bytea NOT NULL,
  quality_of_service bytea,
  closure_uri text NOT NULL,
  closure_digest bytea NOT NULL,
  short_description text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org, project, domain, name, version)
);
CREATE INDEX workflows_newest ON workflows (org, project, domain, created_at DESC);

CREATE TABLE launch_plans (
  id bigint GENERATED ALWAYS AS IDENTITY,
  org text NOT NULL, project text NOT NULL, domain text NOT NULL, name text NOT NULL, version text NOT NULL,
  workflow_project text NOT NULL, workflow_domain text NOT NULL, workflow_name text NOT NULL, workflow_version text NOT NULL,
  digest bytea NOT NULL,
  original bytea NOT NULL,
  spec bytea NOT NULL,
  expected_inputs bytea NOT NULL,
  expected_outputs bytea NOT NULL,
  state smallint NOT NULL DEFAULT 0,
  schedule_type text NOT NULL DEFAULT 'NONE',
  short_description text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org, project, domain, name, version)
);
CREATE INDEX launch_plans_newest ON launch_plans (org, project, domain, created_at DESC);
-- At most one active version a name (A-33), whoever asks at once.
CREATE UNIQUE INDEX launch_plans_active ON launch_plans (org, project, domain, name) WHERE state = 1;

CREATE TABLE named_entities (
  id bigint GENERATED ALWAYS AS IDENTITY,
  resource_type smallint NOT NULL,
  org text NOT NULL, project text NOT NULL, domain text NOT NULL, name text NOT NULL,
  description text NOT NULL DEFAULT '',
  state smallint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org, project, domain, resource_type, name)
);

CREATE TABLE descriptions (
  id bigint GENERATED ALWAYS AS IDENTITY,
  resource_type smallint NOT NULL,
  org text NOT NULL, project text NOT NULL, domain text NOT NULL, name text NOT NULL, version text NOT NULL,
  digest bytea NOT NULL,
  entity bytea NOT NULL,
  short_description text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org, project, domain, resource_type, name, version)
);

-- Empty text where a level doesn't name the part: project < project+domain < workflow < launch plan (A-91).
CREATE TABLE attributes (
  resource_type smallint NOT NULL,
  org text NOT NULL,
  project text NOT NULL DEFAULT '', domain text NOT NULL DEFAULT '',
  workflow text NOT NULL DEFAULT '', launch_plan text NOT NULL DEFAULT '',
  priority smallint NOT NULL,
  attributes bytea NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org, resource_type, project, domain, workflow, launch_plan)
);
`;
