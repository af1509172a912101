import { invalidArgument } from '@aloft/errors';
import { PaginationOptions_SortOrder, type PaginationOptions } from '@aloft/idl/flyteidl/datacatalog/datacatalog';

const defaultLimit = 50;
const maxLimit = 1000;

export interface Page {
  limit: number;
  offset: number;
  ascending: boolean;
}

/** 50 a page unless asked otherwise; the token is the next offset. */
export function pageOf(options: PaginationOptions | undefined): Page {
  const token = options?.token ?? '';
  if (!/^\d{0,15}$/.test(token)) {
    throw invalidArgument(`pagination.token is "${token}": give the next_token of the page before, or none`);
  }
  return {
    limit: Math.min(options?.limit || defaultLimit, maxLimit),
    offset: Number(token || 0),
    ascending: options?.sortOrder === PaginationOptions_SortOrder.ASCENDING,
  };
}

/** empty on a short page, so that naive paging does not ask once more for nothing. */
export function nextToken(page: Page, found: number): string {
  return found < page.limit ? '' : String(page.offset + found);
}
