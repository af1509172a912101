import { invalidArgument } from '@aloft/errors';
import { Sort_Direction, type Sort } from '@aloft/idl/flyteidl/admin/common';
import { parseFilters, snakeCase, type FilterGroup, type FilterTerm } from './filter-grammar.js';
import type { ColumnType, ListColumn, ListModel } from './list-models.js';
import { SqlParameters } from './sql-parameters.js';
import { compileValueTerm } from './value-filter.js';
import { containsPattern, likePattern, parseDuration, parseTimestamp } from './values.js';

export { SqlParameters };

export interface ListRequest {
  filters: string;
  sortBy: Sort | undefined;
  limit: number;
  token: string;
}

export interface ListOptions {
  model: ListModel;
  request: ListRequest;
  parameters: SqlParameters;
  /** Conditions of the call itself (its project, its parent …), over the model's alias. */
  where: string[];
  /** ORDER BY without a sort in the request; default: oldest first. */
  defaultOrder?: string;
  /** ListProjects: limit 0 means all. */
  unlimited?: boolean;
  /** Largest page; above it the page is this long. */
  maxLimit?: number;
}

export interface ListQuery {
  /** `FROM … WHERE … ORDER BY … LIMIT … OFFSET …`. */
  tail: string;
  /** Columns of the model that filters name, without joined entities' (A-53: `state` switches a default off). */
  filtered: ReadonlySet<string>;
  /** Token of the next page for a page of so many rows: empty on a short page. */
  nextToken(rows: number): string;
}

const defaultMaxLimit = 10_000;

/** Compiles filters, sort and page (A-190…A-196) to parameterised SQL; INVALID_ARGUMENT names what can't be. */
export function compileList(options: ListOptions): ListQuery {
  const { model, parameters, request } = options;
  const groups = parseFilters(request.filters);
  const filtered = new Set(ownTerms(model, groups).map((term) => term.field));
  const conditions = [...options.where, ...compileGroups(model, groups, parameters)];
  const where = conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '';
  const { limit, offset } = page(request, options);
  const order = orderBy(model, request.sortBy) ?? options.defaultOrder ?? model.tieBreaker;
  const paging =
    (limit === undefined ? '' : ` LIMIT ${parameters.add(limit)}`) +
    (offset === 0 ? '' : ` OFFSET ${parameters.add(offset)}`);
  return {
    tail: `FROM ${model.table} ${model.alias}${where} ORDER BY ${order}${paging}`,
    filtered,
    nextToken: (rows) => (limit !== undefined && rows >= limit ? String(offset + rows) : ''),
  };
}

/** Whether filters name a column of the model itself, e.g. `state`. */
export function filtersName(model: ListModel, filters: string, field: string): boolean {
  return ownTerms(model, parseFilters(filters)).some((term) => term.field === field);
}

function ownTerms(model: ListModel, groups: readonly FilterGroup[]): FilterTerm[] {
  return groups.flat().filter((term) => isOwn(model, term));
}

function isOwn(model: ListModel, term: FilterTerm): boolean {
  return term.entity === undefined || term.entity === model.entity;
}

function compileGroups(model: ListModel, groups: readonly FilterGroup[], parameters: SqlParameters): string[] {
  const single = groups.flatMap((group) => (group.length === 1 ? group : []));
  const choices = groups
    .filter((group) => group.length > 1)
    .map((group) => `(${group.flatMap((term) => compileTerms(model, [term], parameters)).join(' OR ')})`);
  return [...compileTerms(model, single, parameters), ...choices];
}

function compileTerms(model: ListModel, terms: readonly FilterTerm[], parameters: SqlParameters): string[] {
  const conditions: string[] = [];
  // All terms on one joined entity hold for the same row of it: key and value of one tag, not of two.
  const joined = new Map<string, FilterTerm[]>();
  for (const term of terms) {
    const { entity = model.entity } = term;
    const values = Object.hasOwn(model.values ?? {}, entity) ? model.values?.[entity] : undefined;
    const join = Object.hasOwn(model.joins, entity) ? model.joins[entity] : undefined;
    const own = join?.own && Object.hasOwn(join.own, term.field) ? join.own[term.field] : undefined;
    if (own) conditions.push(compileColumn(own, term, parameters));
    else if (isOwn(model, term) || join?.on === '') conditions.push(compileTerm(model, term, parameters));
    else if (values !== undefined) conditions.push(compileValueTerm(values, term, parameters));
    else if (!join)
      throw invalidArgument(
        `filters: ${term.text} names "${term.entity}", which can't be joined to ${model.entity}; possible are ` +
          [model.entity, ...Object.keys(model.joins), ...Object.keys(model.values ?? {})].join(', '),
      );
    else joined.set(entity, [...(joined.get(entity) ?? []), term]);
  }
  for (const [entity, entityTerms] of joined) {
    const join = model.joins[entity] as ListModel['joins'][string];
    const other = join.model();
    const inner = [join.on, ...entityTerms.map((term) => compileTerm(other, term, parameters))].join(' AND ');
    conditions.push(`EXISTS (SELECT 1 FROM ${other.table} ${other.alias} WHERE ${inner})`);
  }
  return conditions;
}

const comparisons = { eq: '=', ne: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;
const sqlTypes: Record<ColumnType, string> = {
  text: 'text',
  integer: 'bigint',
  boolean: 'boolean',
  timestamp: 'timestamptz',
  duration: 'bigint',
};

function compileTerm(model: ListModel, term: FilterTerm, parameters: SqlParameters): string {
  return compileColumn(columnOf(model, term.field, `filters: ${term.text}`), term, parameters);
}

function compileColumn(column: ListColumn, term: FilterTerm, parameters: SqlParameters): string {
  const first = term.values[0] as string;
  switch (term.function) {
    case 'contains':
      requireText(column, term);
      return `${column.sql} LIKE ${parameters.add(containsPattern(first))}`;
    case 'not_like':
      requireText(column, term);
      return `${column.sql} NOT LIKE ${parameters.add(likePattern(first, term.text))}`;
    case 'value_in':
    case 'value_not_in': {
      const values = term.values.map((value) => parseValue(column.type, value, term));
      const list = `${parameters.add(values)}::${sqlTypes[column.type]}[]`;
      return term.function === 'value_in' ? `${column.sql} = ANY (${list})` : `${column.sql} <> ALL (${list})`;
    }
    default: {
      const operator = comparisons[term.function];
      return `${column.sql} ${operator} ${parameters.add(parseValue(column.type, first, term))}::${sqlTypes[column.type]}`;
    }
  }
}

function columnOf(model: ListModel, field: string, where: string, written = field): ListColumn {
  const column = Object.hasOwn(model.columns, field) ? model.columns[field] : undefined;
  if (!column)
    throw invalidArgument(
      `${where}: ${model.entity} has no field "${written.slice(0, 100)}"; known are ${Object.keys(model.columns).sort().join(', ')}`,
    );
  return column;
}

function requireText(column: ListColumn, term: FilterTerm): void {
  if (column.type !== 'text')
    throw invalidArgument(`filters: ${term.text}: ${term.function} works on text, "${term.field}" is ${column.type}`);
}

function parseValue(type: ColumnType, value: string, term: FilterTerm): unknown {
  const refuse = (right: string) =>
    invalidArgument(`filters: ${term.text}: "${value}" is no ${type} for "${term.field}"; write ${right}`);
  switch (type) {
    case 'text':
      return value;
    case 'integer': {
      if (!/^-?\d{1,18}$/.test(value)) throw refuse('a whole number');
      return value;
    }
    case 'boolean': {
      if (!/^(true|false)$/i.test(value)) throw refuse('true or false');
      return value.toLowerCase() === 'true';
    }
    case 'timestamp': {
      const time = parseTimestamp(value);
      if (time === undefined) throw refuse('RFC 3339, e.g. 2026-01-01T00:00:00Z');
      return time;
    }
    case 'duration': {
      const nanoseconds = parseDuration(value);
      if (nanoseconds === undefined) throw refuse('seconds (90) or a duration such as 1h30m');
      return nanoseconds;
    }
  }
}

function orderBy(model: ListModel, sort: Sort | undefined): string | undefined {
  if (!sort || sort.key === '') return undefined;
  const column = columnOf(model, snakeCase(sort.key), 'sort_by.key', sort.key);
  if (sort.direction !== Sort_Direction.ASCENDING && sort.direction !== Sort_Direction.DESCENDING)
    throw invalidArgument(`sort_by.direction: ${sort.direction} is unknown; use ASCENDING or DESCENDING`);
  const direction = sort.direction === Sort_Direction.ASCENDING ? 'ASC' : 'DESC';
  const nulls = column.nullable ? ' NULLS LAST' : '';
  return column.sql === model.tieBreaker
    ? `${column.sql} ${direction}`
    : `${column.sql} ${direction}${nulls}, ${model.tieBreaker} ${direction}`;
}

function page(request: ListRequest, options: ListOptions): { limit: number | undefined; offset: number } {
  const { limit } = request;
  if (limit < 0 || (limit === 0 && !options.unlimited))
    throw invalidArgument(`limit: ${limit} is no page size; it must be above 0`);
  const { token } = request;
  if (!/^\d{0,15}$/.test(token))
    throw invalidArgument(
      `token: "${token}" is none of ours; use the token of the previous page, or none for the first`,
    );
  return {
    limit: limit === 0 ? undefined : Math.min(limit, options.maxLimit ?? defaultMaxLimit),
    offset: token === '' ? 0 : Number(token),
  };
}
