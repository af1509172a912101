import type { Migration } from '@aloft/database';
import { arrayItemsSql } from './array-items.sql.js';
import { attemptsSql } from './attempts.sql.js';
import { registrySql } from './0001-registry.sql.js';
import { executionsSql } from './0002-executions.sql.js';
import { engineSql } from './engine.sql.js';
import { retentionSql } from './retention.sql.js';
import { waitsSql } from './waits.sql.js';
import { listFiltersSql } from './list-filters.sql.js';
import { listPagesSql } from './list-pages.sql.js';
import { listOrderSql } from './list-order.sql.js';
import { closuresSql } from './closures.sql.js';
import { registryOrderSql } from './registry-order.sql.js';
import { nodeRevisionsSql } from './node-revisions.sql.js';
import { searchableValuesSql } from './searchable-values.sql.js';

/** Tables of the admin schema: run `migrate(database, 'admin', adminMigrations)`, beside the bus's consumer tables. */
export const adminMigrations: readonly Migration[] = [
  { name: '0001 registry', sql: registrySql },
  { name: '0002 executions', sql: executionsSql },
  { name: 'what nodes wait for', sql: waitsSql },
  { name: 'node revisions', sql: nodeRevisionsSql },
  { name: 'searchable values of executions', sql: searchableValuesSql },
  { name: 'order of lists of executions', sql: listOrderSql },
  { name: 'engine of projects and executions', sql: engineSql },
  { name: 'retention and erasures', sql: retentionSql },
  { name: 'filters of lists of executions', sql: listFiltersSql },
  { name: 'what lists of executions look through', sql: listPagesSql },
  { name: 'order of lists of the registry', sql: registryOrderSql },
  { name: 'small closures of workflows', sql: closuresSql },
  { name: 'routes of attempts', sql: attemptsSql },
  { name: 'items of arrays', sql: arrayItemsSql },
];
