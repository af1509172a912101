export * from './catalog.module.js';
export { catalogMigrations } from './migrations.js';
