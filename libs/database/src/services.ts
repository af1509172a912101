import { createHmac } from 'node:crypto';
import pg from 'pg';
import { toDatabaseError } from './database-error.js';
import { checkIdentifier } from './open-database.js';

export interface ServiceOptions {
  schema: string;
  /** Login role (default `aloft_<schema>`). */
  role?: string;
  /** Its password; default: derived from the administrator's, so that every start finds the same one. */
  password?: string;
}

export interface ServiceCredentials {
  schema: string;
  role: string;
  /** Connection URL of that role. */
  url: string;
}

/**
 * Makes a service's schema and its login role if they are missing (and sets its password): the role owns that schema
 * and may touch no other. `adminUrl` is a role that may create roles and schemas. Safe to repeat and to race.
 */
export async function createService(adminUrl: string, options: ServiceOptions): Promise<ServiceCredentials> {
  const schema = checkIdentifier('schema', options.schema);
  const role = checkIdentifier('role', options.role ?? `aloft_${schema}`);
  const url = new URL(adminUrl);
  const password =
    options.password ?? createHmac('sha256', decodeURIComponent(url.password)).update(role).digest('base64url');
  const client = new pg.Client({ connectionString: adminUrl });
  try {
    await client.connect();
    await client.query('BEGIN');
    // Two starts at once would both find the role missing.
    await client.query(`SELECT pg_advisory_xact_lock(hashtext('aloft.services'))`);
    const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
    const login = `LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD ${pg.escapeLiteral(password)}`;
    await client.query(`${rowCount ? 'ALTER' : 'CREATE'} ROLE ${role} ${login}`);
    await client.query(`ALTER ROLE ${role} SET search_path = ${schema}`);
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema} AUTHORIZATION ${role}`);
    await client.query(`REVOKE ALL ON SCHEMA ${schema} FROM PUBLIC`);
    await client.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
    await client.query('COMMIT');
  } catch (error) {
    throw toDatabaseError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
  url.username = role;
  url.password = password;
  return { schema, role, url: url.href };
}
