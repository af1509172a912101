import type { Queryable, Statement, Transaction } from '@aloft/database';
import type { EntityManager, EntityTarget, FindOptionsWhere } from 'typeorm';
import type { ListModel } from '../listing/list-models.js';
import { compileList, SqlParameters, type ListRequest } from '../listing/list-query.js';
import type { EntityKey, NameKey } from './identifiers.js';

/** I/O that tasks, workflows and launch plans have in common: immutable rows under (org, project, domain, name, version). */
export class VersionedRepository<Row extends EntityKey> {
  private readonly insertStatement: Statement;
  private readonly existsStatement: Statement;

  constructor(
    private readonly entity: EntityTarget<Row>,
    private readonly model: ListModel,
    /** Columns that lists need, without large ones. */
    private readonly listed: readonly string[],
    /** What a new version's row is given, beside its key. */
    private readonly given: readonly (keyof Row & string)[],
  ) {
    const properties = [...keyParts, ...given];
    const columns = properties.map(columnOf);
    this.insertStatement = {
      name: `admin-register-${model.table}`,
      text: `INSERT INTO ${model.table} (${columns.join(', ')}) VALUES (${columns.map((_, i) => `$${i + 1}`).join(', ')})`,
    };
    this.existsStatement = {
      name: `admin-registered-${model.table}`,
      text: `SELECT 1 FROM ${model.table} WHERE ${keyParts.map((part, i) => `${part} = $${i + 1}`).join(' AND ')}`,
    };
  }

  get table(): string {
    return this.model.table;
  }

  /** Sends a new version, for {@link Registry.register}. */
  send(tx: Transaction, row: Omit<Row, 'createdAt' | 'updatedAt'>): void {
    const values = [...keyParts, ...this.given].map((property) => row[property as keyof typeof row]);
    tx.send(this.insertStatement, values);
  }

  async exists(db: Queryable, key: EntityKey): Promise<boolean> {
    const { rows } = await db.query(
      this.existsStatement,
      keyParts.map((part) => key[part]),
    );
    return rows.length > 0;
  }

  find(manager: EntityManager, key: EntityKey): Promise<Row | null> {
    const { org, project, domain, name, version } = key;
    return manager.findOneBy(this.entity, { org, project, domain, name, version } as FindOptionsWhere<Row>);
  }

  /** Versions of one name, or of every name of a project and domain when the name is empty. */
  async list(
    manager: EntityManager,
    scope: NameKey,
    request: ListRequest,
    conditions: readonly string[] = [],
  ): Promise<{ rows: Record<string, unknown>[]; token: string }> {
    const { alias } = this.model;
    const parameters = new SqlParameters();
    const where = [
      `${alias}.org = ${parameters.add(scope.org)}`,
      `${alias}.project = ${parameters.add(scope.project)}`,
      `${alias}.domain = ${parameters.add(scope.domain)}`,
      ...(scope.name === '' ? [] : [`${alias}.name = ${parameters.add(scope.name)}`]),
      ...conditions,
    ];
    const list = compileList({ model: this.model, request, parameters, where });
    const columns = this.listed.map((column) => `${alias}.${column}`).join(', ');
    const rows: Record<string, unknown>[] = await manager.query(`SELECT ${columns} ${list.tail}`, parameters.values);
    return { rows, token: list.nextToken(rows.length) };
  }
}

const keyParts = ['org', 'project', 'domain', 'name', 'version'] as const;

/** `shortDescription` → `short_description`, as all columns are named. */
const columnOf = (property: string): string => property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
