/** The order of pages of runs, with its tie-breaker: one index serves it forwards and backwards. */
export const listOrderSql = `
DROP INDEX executions_newest;
CREATE INDEX executions_newest ON executions (org, project, domain, created_at DESC, id DESC);
`;
