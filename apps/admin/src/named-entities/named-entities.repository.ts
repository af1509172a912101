import type { Database, Transaction } from '@aloft/database';
import type { EntityManager } from 'typeorm';
import { listQuery } from '../listing/bounded-query.js';
import { namedEntityModel } from '../listing/registry-models.js';
import { compileList, SqlParameters, type ListRequest } from '../listing/list-query.js';
import { NamedEntityRow } from '../registry/entities.js';
import type { NameKey } from '../registry/identifiers.js';

/** Names of what the server makes for single tasks, hidden from lists unless a filter asks. */
export const generatedPrefix = '.flytegen';

/** A name with the kind of what is registered under it. */
export interface NewName extends NameKey {
  resourceType: number;
  state: number;
}

const ensureStatement = {
  name: 'admin-ensure-names',
  text: `INSERT INTO named_entities (org, project, domain, name, resource_type, state)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::smallint[]) ON CONFLICT DO NOTHING`,
};

/** I/O on the table of names. */
export class NamedEntitiesRepository {
  /** The rows exist from a name's first registration on; repeats change nothing. */
  sendNew(tx: Transaction, names: readonly NewName[]): void {
    tx.send(
      ensureStatement,
      (['org', 'project', 'domain', 'name', 'resourceType', 'state'] as const).map((part) =>
        names.map((name) => name[part]),
      ),
    );
  }

  find(
    manager: EntityManager,
    resourceType: number,
    { org, project, domain, name }: NameKey,
  ): Promise<NamedEntityRow | null> {
    return manager.findOneBy(NamedEntityRow, { org, project, domain, name, resourceType });
  }

  async update(
    manager: EntityManager,
    resourceType: number,
    { org, project, domain, name }: NameKey,
    changes: { description: string; state: number },
  ): Promise<boolean> {
    const { affected } = await manager.update(
      NamedEntityRow,
      { org, project, domain, name, resourceType },
      { ...changes, updatedAt: () => 'now()' },
    );
    return (affected ?? 0) > 0;
  }

  /** RESOURCE_EXHAUSTED if filters take longer than so many milliseconds. */
  async list(
    database: Database,
    resourceType: number,
    scope: Omit<NameKey, 'name'>,
    request: ListRequest,
    options: { hideGenerated: boolean; limitMs: number },
  ): Promise<{
    rows: (NameKey & { description: string; state: number })[];
    token: string;
  }> {
    const parameters = new SqlParameters();
    const where = [
      `ne.org = ${parameters.add(scope.org)}`,
      `ne.project = ${parameters.add(scope.project)}`,
      `ne.domain = ${parameters.add(scope.domain)}`,
      `ne.resource_type = ${parameters.add(resourceType)}::smallint`,
    ];
    if (options.hideGenerated && request.filters === '') where.push(`NOT starts_with(ne.name, '${generatedPrefix}')`);
    const list = compileList({
      model: namedEntityModel,
      request,
      parameters,
      where,
      defaultOrder: ['ne.name', 'ne.id'],
    });
    const text = `SELECT ne.org, ne.project, ne.domain, ne.name, ne.description, ne.state ${list.tail}`;
    const { rows } = await listQuery(database, options.limitMs, request, (db) =>
      db.query<NameKey & { description: string; state: number }>(text, parameters.values),
    );
    return { rows, token: list.nextToken(rows.length) };
  }
}
