import type { FilterTerm } from './filter-grammar.js';
import { comparableTime } from './searchable-values.js';
import type { SqlParameters } from './sql-parameters.js';
import { containsPattern, likePattern } from './values.js';

/**
 * A filter on an input or output of a run (U-20), e.g. `gt(input.learning_rate,0.1)`: `column` is a JSON object of simple values by
 * name. A value matches a number, a boolean or a text that it can be read as; runs without that name match nothing but `ne`,
 * `not_like` and `value_not_in`.
 */
export function compileValueTerm(column: string, term: FilterTerm, parameters: SqlParameters): string {
  const [first = ''] = term.values;
  switch (term.function) {
    case 'eq':
    case 'value_in':
      return equalsAny(column, term, parameters);
    case 'ne':
    case 'value_not_in':
      return `(${column} IS NULL OR NOT ${equalsAny(column, term, parameters)})`;
    case 'contains':
      return `${textOf(column, term, parameters)} LIKE ${parameters.add(containsPattern(first))}`;
    case 'not_like':
      return `coalesce(${textOf(column, term, parameters)} NOT LIKE ${parameters.add(likePattern(first, term.text))}, true)`;
    default:
      return compared(column, term, first, parameters);
  }
}

const comparisons = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

function compared(column: string, term: FilterTerm, value: string, parameters: SqlParameters): string {
  const operator = comparisons[term.function as keyof typeof comparisons];
  const number = numberOf(value);
  if (number === undefined) {
    const text = comparableTime(value) ?? value;
    return `${textOf(column, term, parameters)} COLLATE "C" ${operator} ${parameters.add(text)}::text`;
  }
  const path = parameters.add(term.field);
  // CASE keeps the cast away from texts.
  return (
    `CASE WHEN jsonb_typeof(${column} -> ${path}::text) = 'number' ` +
    `THEN (${column} ->> ${path}::text)::numeric ${operator} ${parameters.add(number)}::numeric END`
  );
}

/** Containment, which the column's index serves. */
function equalsAny(column: string, term: FilterTerm, parameters: SqlParameters): string {
  const candidates = term.values.flatMap(readings).map((value) => {
    const object = JSON.stringify(Object.fromEntries([[term.field, value]]));
    return `${column} @> ${parameters.add(object)}::jsonb`;
  });
  return `(${candidates.join(' OR ')})`;
}

function readings(value: string): (string | number | boolean)[] {
  const number = numberOf(value);
  const time = comparableTime(value);
  return [
    value,
    ...(number === undefined ? [] : [Number(number)]),
    ...(/^(true|false)$/i.test(value) ? [value.toLowerCase() === 'true'] : []),
    ...(time === undefined || time === value ? [] : [time]),
  ];
}

function numberOf(value: string): string | undefined {
  return /^-?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,2})?$/.test(value) ? value : undefined;
}

function textOf(column: string, term: FilterTerm, parameters: SqlParameters): string {
  return `${column} ->> ${parameters.add(term.field)}::text`;
}
