import { invalidArgument } from '@aloft/errors';
import type { FilterTerm } from './filter-grammar.js';
import type { ColumnType, ListColumn, ListModel } from './list-model.js';
import type { SqlParameters } from './sql-parameters.js';
import { containsPattern, likePattern, parseDuration, parseTimestamp } from './values.js';

const comparisons = { eq: '=', ne: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;
const sqlTypes: Record<ColumnType, string> = {
  text: 'text',
  integer: 'bigint',
  boolean: 'boolean',
  timestamp: 'timestamptz',
  duration: 'bigint',
};

/** A term on a column of the model, as a condition; INVALID_ARGUMENT names what can't be one. */
export function compileTerm(model: ListModel, term: FilterTerm, parameters: SqlParameters): string {
  return compileColumn(columnOf(model, term.field, `filters: ${term.text}`), term, parameters);
}

export function compileColumn(column: ListColumn, term: FilterTerm, parameters: SqlParameters): string {
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

export function columnOf(model: ListModel, field: string, where: string, written = field): ListColumn {
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
