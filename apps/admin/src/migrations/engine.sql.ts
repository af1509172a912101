/** Who runs an execution: a setting of its project (null: the configuration's), fixed when it is created (design.md section 5). */
export const engineSql = `
ALTER TABLE projects ADD COLUMN engine text;
ALTER TABLE executions ADD COLUMN engine text NOT NULL DEFAULT 'ALOFT';
`;
