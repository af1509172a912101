import { DatabaseError, type Database, type Queryable } from '@aloft/database';
import { resourceExhausted } from '@aloft/errors';
import type { ListRequest } from './list-query.js';

const cancelledByTimeout = '57014';

/** A query that anybody may phrase: RESOURCE_EXHAUSTED if a statement of it takes longer than that. */
export async function boundedQuery<T>(
  database: Database,
  limitMs: number,
  query: (db: Queryable) => Promise<T>,
): Promise<T> {
  try {
    return await database.transaction((tx) => {
      tx.send(`SET LOCAL statement_timeout = ${Math.floor(limitMs)}`);
      return query(tx);
    });
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.sqlState !== cancelledByTimeout) throw error;
    throw resourceExhausted(
      `filters: this list takes longer than ${limitMs} ms (admin.limits.listMs): narrow it, e.g. by an exact name, a phase, or ` +
        'gte(created_at,<time>), sort by created_at, or take a page nearer to the first',
      { cause: error },
    );
  }
}

/** The first page in the order of the index: needs no bound. */
export function isFirstPage({ filters, token, sortBy }: ListRequest): boolean {
  return filters === '' && token === '' && (!sortBy || sortBy.key === '' || sortBy.key === 'created_at');
}
