import type { Database } from '@aloft/database';

/**
 * Lets a service's login role publish to topics (`%` stands for any characters: `tasks.commands.%`), and to no others.
 * `database` is the bus's own, of the role that owns the schema. Replaces what was granted before.
 */
export async function allowPublishing(database: Database, role: string, topics: readonly string[]): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.query(`SELECT pg_advisory_xact_lock(hashtext('aloft.bus.grants'))`);
    // Identifiers can't be parameters; the server quotes it.
    const { rows } = await tx.query<{ role: string }>('SELECT quote_ident($1) AS role', [role]);
    await tx.query(`GRANT USAGE ON SCHEMA bus TO ${rows[0]!.role}`);
    await tx.query(`GRANT EXECUTE ON FUNCTION publish TO ${rows[0]!.role}`);
    await tx.query('DELETE FROM publishers WHERE role = $1', [role]);
    await tx.query('INSERT INTO publishers (role, pattern) SELECT $1, unnest($2::text[])', [role, topics]);
  });
}
