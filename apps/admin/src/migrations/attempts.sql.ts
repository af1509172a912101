/** Where attempts went, and why (U-23): aloft.v1.Route. What they used (U-25) has its column from the start. */
export const attemptsSql = `
ALTER TABLE task_executions ADD COLUMN route bytea;
`;
