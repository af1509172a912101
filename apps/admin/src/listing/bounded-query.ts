import { DatabaseError, type Database, type Queryable } from '@aloft/database';
import { resourceExhausted } from '@aloft/errors';
import type { ListRequest } from './list-query.js';

const cancelledByTimeout = '57014';
const longestQuoted = 200;

/** A list that anybody may phrase: RESOURCE_EXHAUSTED with its filters, sort and page if a statement of it takes longer than that. */
export async function listQuery<T>(
  database: Database,
  limitMs: number,
  request: ListRequest,
  query: (db: Queryable) => Promise<T>,
): Promise<T> {
  if (isFirstPage(request)) return query(database);
  try {
    return await database.transaction((tx) => {
      tx.send(`SET LOCAL statement_timeout = ${Math.floor(limitMs)}`);
      return query(tx);
    });
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.sqlState !== cancelledByTimeout) throw error;
    throw resourceExhausted(
      `filters: ${describe(request)} takes longer than ${limitMs} ms (admin.limits.listMs): narrow it, e.g. by an exact name, a phase, or ` +
        'gte(created_at,<time>), sort by created_at, or take a page nearer to the first',
      { cause: error },
    );
  }
}

/** The list as it was asked for. */
function describe({ filters, sortBy, token }: ListRequest): string {
  const quoted = filters.length > longestQuoted ? `${filters.slice(0, longestQuoted)}…` : filters;
  const parts = [
    filters === '' ? 'a list without filters' : `the list of ${JSON.stringify(quoted)}`,
    ...(sortBy && sortBy.key !== '' ? [`sorted by ${sortBy.key.slice(0, longestQuoted)}`] : []),
    ...(token === '' ? [] : [`from row ${token}`]),
  ];
  return parts.join(' ');
}

/** The first page in the order of the index: needs no bound. */
export function isFirstPage({ filters, token, sortBy }: ListRequest): boolean {
  return filters === '' && token === '' && (!sortBy || sortBy.key === '' || sortBy.key === 'created_at');
}
