/**
 * What lists of runs are mostly filtered by, each in the order of pages: the newest of a phase, a plan, a workflow or a user are read from the
 * front of an index, however rare they are. Parts of errors are looked for in runs that have one.
 */
export const listFiltersSql = `
CREATE INDEX executions_by_phase ON executions (org, project, domain, phase, created_at DESC, id DESC);
CREATE INDEX executions_by_plan ON executions (org, project, domain, launch_plan_name, created_at DESC, id DESC);
CREATE INDEX executions_by_workflow ON executions (org, project, domain, workflow_name, created_at DESC, id DESC);
CREATE INDEX executions_by_user ON executions (org, project, domain, principal, created_at DESC, id DESC);
CREATE INDEX executions_by_duration ON executions (org, project, domain, duration_ns DESC NULLS LAST, id DESC);
CREATE INDEX executions_with_errors ON executions (org, project, domain, created_at DESC, id DESC) WHERE error_message IS NOT NULL;
`;
