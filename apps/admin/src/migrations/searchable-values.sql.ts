/** What filters on runs see besides phases and times (U-20): simple inputs and outputs by name, and the error. */
export const searchableValuesSql = `
ALTER TABLE executions ADD COLUMN input_values jsonb, ADD COLUMN output_values jsonb, ADD COLUMN error_message text;
CREATE INDEX executions_by_input ON executions USING gin (input_values jsonb_path_ops) WHERE input_values IS NOT NULL;
CREATE INDEX executions_by_output ON executions USING gin (output_values jsonb_path_ops) WHERE output_values IS NOT NULL;
`;
