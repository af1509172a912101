import { isUniqueViolation } from '@aloft/database';
import type { EntityManager, EntityTarget, FindOptionsWhere } from 'typeorm';
import type { ListModel } from '../listing/list-models.js';
import { compileList, SqlParameters, type ListRequest } from '../listing/list-query.js';
import type { EntityKey, NameKey } from './identifiers.js';
import { toRegistryError } from './registry-error.js';

/** I/O that tasks, workflows and launch plans have in common: immutable rows under (org, project, domain, name, version). */
export class VersionedRepository<Row extends EntityKey> {
  constructor(
    private readonly entity: EntityTarget<Row>,
    private readonly model: ListModel,
    /** Columns that lists need, without large ones. */
    private readonly listed: readonly string[],
  ) {}

  find(manager: EntityManager, key: EntityKey): Promise<Row | null> {
    const { org, project, domain, name, version } = key;
    return manager.findOneBy(this.entity, { org, project, domain, name, version } as FindOptionsWhere<Row>);
  }

  /** `false` if the version exists already; nothing is changed then, and the transaction goes on. */
  async insert(manager: EntityManager, row: Omit<Row, 'createdAt' | 'updatedAt'>): Promise<boolean> {
    try {
      const result = await manager
        .createQueryBuilder()
        .insert()
        .into(this.entity)
        .values(row as never)
        .orIgnore()
        .returning(['version'])
        .execute();
      return (result.raw as unknown[]).length > 0;
    } catch (thrown) {
      const error = toRegistryError(thrown);
      if (isUniqueViolation(error)) return false;
      throw error;
    }
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
