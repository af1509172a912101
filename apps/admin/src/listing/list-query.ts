import { invalidArgument } from '@aloft/errors';
import { Sort_Direction, type Sort } from '@aloft/idl/flyteidl/admin/common';
import { parseFilters, snakeCase, type FilterGroup, type FilterTerm } from './filter-grammar.js';
import { compileLead, leadingJoin } from './leading-join.js';
import type { ListModel } from './list-model.js';
import { columnOf, compileColumn, compileTerm } from './list-terms.js';
import { SqlParameters } from './sql-parameters.js';
import { compileValueTerm } from './value-filter.js';

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
  /** ORDER BY without a sort in the request, ascending; default: oldest first. */
  defaultOrder?: readonly string[];
  /** ListProjects: limit 0 means all. */
  unlimited?: boolean;
  /** Largest page; above it the page is this long. */
  maxLimit?: number;
  /**
   * The page's length stands in the text itself: Postgres, which then knows it, keeps one plan for a prepared statement and makes none for each
   * call. Only where few lengths can occur.
   */
  fixedLimit?: boolean;
}

export interface ListQuery {
  /** `FROM … WHERE … ORDER BY … LIMIT … OFFSET …`. */
  tail: string;
  /** Its ORDER BY over the model's own columns, for who joins the page with something. */
  order: string;
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
  const order = orderBy(model, request.sortBy, options.defaultOrder);
  const lead = leadingJoin(
    model,
    groups,
    order.map(({ sql }) => sql),
  );
  const rest = lead ? groups.filter((group) => !lead.groups.includes(group)) : groups;
  const conditions = [
    ...options.where,
    ...(lead ? compileLead(lead, parameters) : []),
    ...compileGroups(model, rest, parameters),
  ];
  const where = conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '';
  const own = `${model.table} ${model.alias}`;
  const from = lead ? `${lead.model.table} ${lead.model.alias} JOIN ${own} ON ${lead.join.on}` : own;
  const { limit, offset } = page(request, options);
  const paging =
    (limit === undefined ? '' : ` LIMIT ${options.fixedLimit ? limit : parameters.add(limit)}`) +
    (offset === 0 ? '' : ` OFFSET ${parameters.add(offset)}`);
  return {
    tail: `FROM ${from}${where} ORDER BY ${orderText(order, lead?.join.order)}${paging}`,
    order: orderText(order),
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

/** A column that sorts, and which way. */
interface OrderTerm {
  sql: string;
  direction: string;
}

function orderBy(model: ListModel, sort: Sort | undefined, byDefault: readonly string[] | undefined): OrderTerm[] {
  if (!sort || sort.key === '') return (byDefault ?? [model.tieBreaker]).map((sql) => ({ sql, direction: '' }));
  const column = columnOf(model, snakeCase(sort.key), 'sort_by.key', sort.key);
  if (sort.direction !== Sort_Direction.ASCENDING && sort.direction !== Sort_Direction.DESCENDING)
    throw invalidArgument(`sort_by.direction: ${sort.direction} is unknown; use ASCENDING or DESCENDING`);
  const direction = sort.direction === Sort_Direction.ASCENDING ? ' ASC' : ' DESC';
  const nulls = column.nullable ? ' NULLS LAST' : '';
  return column.sql === model.tieBreaker
    ? [{ sql: column.sql, direction }]
    : [
        { sql: column.sql, direction: direction + nulls },
        { sql: model.tieBreaker, direction },
      ];
}

function orderText(order: readonly OrderTerm[], columns: Readonly<Record<string, string>> = {}): string {
  return order.map(({ sql, direction }) => `${columns[sql] ?? sql}${direction}`).join(', ');
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
