/**
 * What lists of runs look through, in the order of pages and without the runs' rows, which are wide (the plans: docs/architecture/read-model.md):
 *
 * - Labels by key and value: the newest runs that have one are the front of an index, however many or few they are. (The trigger is for
 *   processes of the version before, which do not write the new columns.)
 * - Errors, and inputs and outputs by name, in narrow tables that the database keeps itself, whoever writes to `executions`.
 * - The rest in the index of all runs, which is read alone where nothing else fits.
 *
 * And nodes of a run in order, however many it has.
 */
export const listPagesSql = `
ALTER TABLE execution_tags ADD COLUMN org text, ADD COLUMN project text, ADD COLUMN domain text, ADD COLUMN created_at timestamptz;
UPDATE execution_tags g SET org = e.org, project = e.project, domain = e.domain, created_at = e.created_at
FROM executions e WHERE e.id = g.execution_id;
CREATE FUNCTION execution_tags_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  SELECT e.org, e.project, e.domain, e.created_at INTO NEW.org, NEW.project, NEW.domain, NEW.created_at
  FROM executions e WHERE e.id = NEW.execution_id;
  RETURN NEW;
END $$;
CREATE TRIGGER place BEFORE INSERT ON execution_tags FOR EACH ROW WHEN (NEW.org IS NULL) EXECUTE FUNCTION execution_tags_place();
DROP INDEX execution_tags_by_key;
CREATE INDEX execution_tags_by_value ON execution_tags (org, project, domain, key, value, created_at DESC, execution_id DESC);
CREATE INDEX execution_tags_by_key ON execution_tags (org, project, domain, key, created_at DESC, execution_id DESC);

CREATE TABLE execution_errors (
  execution_id bigint PRIMARY KEY,
  org text NOT NULL, project text NOT NULL, domain text NOT NULL,
  created_at timestamptz NOT NULL,
  kind text, code text, message text
);
INSERT INTO execution_errors
SELECT id, org, project, domain, created_at, error_kind, error_code, error_message FROM executions WHERE error_message IS NOT NULL
ORDER BY org, project, domain, created_at;
CREATE INDEX execution_errors_newest ON execution_errors (org, project, domain, created_at DESC, execution_id DESC);
DROP INDEX executions_with_errors;
CREATE FUNCTION execution_errors_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO execution_errors VALUES
    (NEW.id, NEW.org, NEW.project, NEW.domain, NEW.created_at, NEW.error_kind, NEW.error_code, NEW.error_message)
  ON CONFLICT (execution_id) DO UPDATE SET kind = excluded.kind, code = excluded.code, message = excluded.message;
  RETURN NULL;
END $$;
CREATE TRIGGER keep_error AFTER UPDATE OF error_message ON executions FOR EACH ROW
WHEN (NEW.error_message IS NOT NULL AND (OLD.error_message, OLD.error_code, OLD.error_kind) IS DISTINCT FROM
  (NEW.error_message, NEW.error_code, NEW.error_kind))
EXECUTE FUNCTION execution_errors_keep();

CREATE TABLE execution_values (
  execution_id bigint PRIMARY KEY,
  org text NOT NULL, project text NOT NULL, domain text NOT NULL,
  created_at timestamptz NOT NULL,
  input_values jsonb, output_values jsonb
);
INSERT INTO execution_values
SELECT id, org, project, domain, created_at, input_values, output_values FROM executions
WHERE input_values IS NOT NULL OR output_values IS NOT NULL ORDER BY org, project, domain, created_at;
CREATE INDEX execution_values_newest ON execution_values (org, project, domain, created_at DESC, execution_id DESC);
CREATE INDEX execution_values_by_input ON execution_values USING gin (input_values jsonb_path_ops);
CREATE INDEX execution_values_by_output ON execution_values USING gin (output_values jsonb_path_ops);
DROP INDEX executions_by_input, executions_by_output;
CREATE FUNCTION execution_values_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    UPDATE execution_values SET output_values = NEW.output_values WHERE execution_id = NEW.id;
    IF FOUND THEN RETURN NULL; END IF;
  END IF;
  INSERT INTO execution_values VALUES
    (NEW.id, NEW.org, NEW.project, NEW.domain, NEW.created_at, NEW.input_values, NEW.output_values);
  RETURN NULL;
END $$;
CREATE TRIGGER keep_inputs AFTER INSERT ON executions FOR EACH ROW WHEN (NEW.input_values IS NOT NULL)
EXECUTE FUNCTION execution_values_keep();
CREATE TRIGGER keep_outputs AFTER UPDATE OF output_values ON executions FOR EACH ROW
WHEN (NEW.output_values IS DISTINCT FROM OLD.output_values) EXECUTE FUNCTION execution_values_keep();

CREATE FUNCTION execution_parts_drop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM execution_errors WHERE execution_id = OLD.id;
  DELETE FROM execution_values WHERE execution_id = OLD.id;
  RETURN NULL;
END $$;
CREATE TRIGGER drop_parts AFTER DELETE ON executions FOR EACH ROW EXECUTE FUNCTION execution_parts_drop();

DROP INDEX executions_newest;
CREATE INDEX executions_newest ON executions (org, project, domain, created_at DESC, id DESC)
  INCLUDE (state, phase, mode, started_at, updated_at, duration_ns, name, launch_plan_name, workflow_name, principal);
CREATE INDEX executions_by_task ON executions (org, project, domain, task_name, created_at DESC, id DESC) WHERE task_name IS NOT NULL;
CREATE INDEX executions_archived ON executions (org, project, domain, created_at DESC, id DESC) WHERE state <> 0;

CREATE INDEX node_executions_in_order ON node_executions (execution_id, created_at, id);
`;
