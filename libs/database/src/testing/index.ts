export * from './shared-postgres.js';
export * from './test-database.js';
