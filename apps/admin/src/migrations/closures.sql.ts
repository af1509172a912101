/** Small closures of workflows (docs/decisions/0100-small-closures-stay-in-rows.md); of those before, all are in blob storage. */
export const closuresSql = `
ALTER TABLE workflows ADD COLUMN closure bytea;
`;
