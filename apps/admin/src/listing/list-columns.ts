import type { ListColumn } from './list-model.js';

export const text = (sql: string): ListColumn => ({ sql, type: 'text' });
export const integer = (sql: string): ListColumn => ({ sql, type: 'integer' });
export const boolean = (sql: string): ListColumn => ({ sql, type: 'boolean' });
export const timestamp = (sql: string): ListColumn => ({ sql, type: 'timestamp' });
export const duration = (sql: string): ListColumn => ({ sql, type: 'duration' });

export const nullable = (column: ListColumn): ListColumn => ({ ...column, nullable: true });

/** What names a version of an entity, in the columns of a row that refers to it. */
export const reference = (alias: string, prefix: string): Record<string, ListColumn> => ({
  project: text(`${alias}.${prefix}_project`),
  domain: text(`${alias}.${prefix}_domain`),
  name: text(`${alias}.${prefix}_name`),
  version: text(`${alias}.${prefix}_version`),
});

export const registryColumns = (alias: string): Record<string, ListColumn> => ({
  id: integer(`${alias}.id`),
  org: text(`${alias}.org`),
  project: text(`${alias}.project`),
  domain: text(`${alias}.domain`),
  name: text(`${alias}.name`),
  version: text(`${alias}.version`),
  short_description: text(`${alias}.short_description`),
  created_at: timestamp(`${alias}.created_at`),
  updated_at: timestamp(`${alias}.updated_at`),
});
