/** The order of pages of tasks, workflows and launch plans, with its tie-breaker: those of one commit have one time. */
export const registryOrderSql = ['tasks', 'workflows', 'launch_plans']
  .map(
    (table) => `
DROP INDEX ${table}_newest;
CREATE INDEX ${table}_newest ON ${table} (org, project, domain, created_at DESC, id DESC);`,
  )
  .join('');
