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
  /** Snake case. */
  field: string;
  values: string[];
  /** As it was written, for messages. */
  text: string;
}

const shape = /^(\w+)\(([A-Za-z_][\w.]*), ?(.*)\)$/s;

/**
 * Parses `func(field,value)+func(field,value;value)`. Terms are split where `)+` is followed by another term, so that
 * a value may hold a `+` (a time zone, say), which Flyte's own parser can't.
 */
export function parseFilters(text: string): FilterTerm[] {
  if (text === '') return [];
  return text.split(/(?<=\))\+(?=\w+\()/).map(parseTerm);
}

function parseTerm(text: string): FilterTerm {
  const match = shape.exec(text);
  if (!match)
    throw invalidArgument(
      `filters: ${JSON.stringify(text)} is no filter; write func(field,value), several joined by "+", e.g. eq(phase,FAILED)`,
    );
  const [, name = '', path = '', value = ''] = match;
  const filterFunction = filterFunctions.find((known) => known === name);
  if (!filterFunction)
    throw invalidArgument(`filters: unknown function "${name}" in ${text}; known are ${filterFunctions.join(', ')}`);
  const parts = path.split('.');
  if (parts.length > 2) throw invalidArgument(`filters: "${path}" in ${text} must be <field> or <entity>.<field>`);
  const values = value.split(';');
  const takesMany = filterFunction === 'value_in' || filterFunction === 'value_not_in';
  if (!takesMany && values.length > 1)
    throw invalidArgument(`filters: ${name} takes one value, ${text} has ${values.length}; use value_in for a list`);
  return {
    function: filterFunction,
    entity: parts.length === 2 ? parts[0] : undefined,
    field: snakeCase(parts[parts.length - 1] as string),
    values,
    text,
  };
}

/** `ExecutionCreatedAt` and `execution_created_at` name the same column. */
export function snakeCase(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
}
