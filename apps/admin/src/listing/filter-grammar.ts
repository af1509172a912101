import { invalidArgument } from '@aloft/errors';

/** Functions of the filter grammar. */
export const filterFunctions = [
  'eq',
  'ne',
  'gt',
  'gte',
  'lt',
  'lte',
  'contains',
  'not_like',
  'value_in',
  'value_not_in',
] as const;
export type FilterFunction = (typeof filterFunctions)[number];

/** One `func(entity.field,value)`; `entity` is `undefined` when the field had no prefix. */
export interface FilterTerm {
  function: FilterFunction;
  entity: string | undefined;
  /** Snake case, but for the names of inputs and outputs, which are the workflow's own. */
  field: string;
  values: string[];
  /** As it was written, for messages. */
  text: string;
}

/** All groups must hold; of a group, one term (U-20). */
export type FilterGroup = FilterTerm[];

/** Entities whose fields are names that users gave: they are taken as they are. */
const userNamed = new Set(['input', 'output']);

const maxTerms = 50;
/** A backslash that is escaped itself escapes nothing. */
const unescaped = '(?<=(?<!\\\\)(?:\\\\\\\\)*';
const endOfTerm = new RegExp(`${unescaped}\\))(\\+| OR )(?=\\w+\\()`);
const semicolon = /(?<=(?<!\\)(?:\\\\)*);/;
const shape = /^(\w+)\(([A-Za-z_][\w.]*), ?(.*)\)$/s;

/**
 * Parses `func(field,value)+func(field,value;value)`. Terms are split where `)+` is followed by another term, so that a
 * value may hold a `+` (a time zone, say), which Flyte's own parser can't. Ours in addition (U-20): `a(…) OR b(…)`, which binds
 * tighter than `+`, so that a client can append its own terms to anybody's filter; and in a value, a backslash before `+`, `;`,
 * `(`, `)`, or a backslash takes it literally. Any other backslash stands for itself, as does one that ends the filter.
 */
export function parseFilters(text: string): FilterGroup[] {
  if (text === '') return [];
  if (text.includes('\0')) throw invalidArgument('filters: must not hold the character NUL');
  const [first = '', ...rest] = text.split(endOfTerm);
  if (rest.length / 2 >= maxTerms)
    throw invalidArgument(`filters: ${rest.length / 2 + 1} terms; at most ${maxTerms} are allowed (use value_in)`);
  const groups: FilterGroup[] = [[parseTerm(first)]];
  for (let i = 0; i < rest.length; i += 2) {
    const term = parseTerm(rest[i + 1] as string);
    if (rest[i] === '+') groups.push([term]);
    else (groups[groups.length - 1] as FilterGroup).push(term);
  }
  return groups;
}

function parseTerm(text: string): FilterTerm {
  const match = shape.exec(text);
  if (!match)
    throw invalidArgument(
      `filters: ${JSON.stringify(text)} is no filter; write func(field,value), several joined by "+" (all hold) or " OR " ` +
        '(one holds), e.g. eq(phase,FAILED)',
    );
  const [, name = '', path = '', value = ''] = match;
  const filterFunction = filterFunctions.find((known) => known === name);
  if (!filterFunction)
    throw invalidArgument(`filters: unknown function "${name}" in ${text}; known are ${filterFunctions.join(', ')}`);
  const parts = path.split('.');
  if (parts.length > 2) throw invalidArgument(`filters: "${path}" in ${text} must be <field> or <entity>.<field>`);
  const values = value.split(semicolon);
  const takesMany = filterFunction === 'value_in' || filterFunction === 'value_not_in';
  if (!takesMany && values.length > 1)
    throw invalidArgument(
      `filters: ${name} takes one value, ${text} has ${values.length}; use value_in for a list, or "\\;" for a semicolon`,
    );
  const entity = parts.length === 2 ? parts[0] : undefined;
  const field = parts[parts.length - 1] as string;
  return {
    function: filterFunction,
    entity,
    field: entity !== undefined && userNamed.has(entity) ? field : snakeCase(field),
    values: values.map((one) => one.replace(/\\([+;()\\])/g, '$1')),
    text,
  };
}

/** `ExecutionCreatedAt` and `execution_created_at` name the same column. */
export function snakeCase(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
}
