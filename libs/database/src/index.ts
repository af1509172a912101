export { arrayParameter, type Element, type ElementType, type Instant } from './array-parameter.js';
export * from './database.js';
export * from './database-error.js';
export { GrowingTables } from './growing-tables.js';
export { openDatabase, type DatabaseOptions } from './open-database.js';
export * from './migrations.js';
export * from './services.js';
export * from './typeorm.js';
export {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from './embedded/embedded-postgres.js';
