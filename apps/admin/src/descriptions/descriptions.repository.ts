import type { Transaction } from '@aloft/database';
import type { EntityManager } from 'typeorm';
import { descriptionModel } from '../listing/list-models.js';
import { compileList, SqlParameters, type ListRequest } from '../listing/list-query.js';
import { DescriptionRow } from '../registry/entities.js';
import type { EntityKey, NameKey } from '../registry/identifiers.js';

type DescriptionValues = Pick<DescriptionRow, 'resourceType' | 'digest' | 'entity' | 'shortDescription'> & EntityKey;

const insertStatement = {
  name: 'admin-insert-description',
  text: `INSERT INTO descriptions (org, project, domain, name, version, resource_type, digest, entity, short_description)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
};

/** I/O on the table of descriptions. */
export class DescriptionsRepository {
  /** Sent for {@link Registry.register}. */
  send(tx: Transaction, description: DescriptionValues): void {
    const { org, project, domain, name, version, resourceType, digest, entity, shortDescription } = description;
    tx.send(insertStatement, [org, project, domain, name, version, resourceType, digest, entity, shortDescription]);
  }

  find(manager: EntityManager, resourceType: number, key: EntityKey): Promise<DescriptionRow | null> {
    return manager.findOneBy(DescriptionRow, { ...key, resourceType });
  }

  async list(manager: EntityManager, resourceType: number, name: NameKey, request: ListRequest) {
    const parameters = new SqlParameters();
    const where = [
      `d.org = ${parameters.add(name.org)}`,
      `d.project = ${parameters.add(name.project)}`,
      `d.domain = ${parameters.add(name.domain)}`,
      `d.resource_type = ${parameters.add(resourceType)}::smallint`,
      `d.name = ${parameters.add(name.name)}`,
    ];
    const list = compileList({ model: descriptionModel, request, parameters, where });
    const rows: Pick<DescriptionRow, 'version' | 'entity'>[] = await manager.query(
      `SELECT d.version, d.entity ${list.tail}`,
      parameters.values,
    );
    return { rows, token: list.nextToken(rows.length) };
  }
}
