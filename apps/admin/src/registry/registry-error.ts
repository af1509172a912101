import { toDatabaseError } from '@aloft/database';

/** What TypeORM wraps, as the database's own errors: with SQLSTATE and constraint. */
export function toRegistryError(thrown: unknown): unknown {
  const driverError = (thrown as { driverError?: unknown } | undefined)?.driverError;
  return toDatabaseError(driverError ?? thrown);
}
