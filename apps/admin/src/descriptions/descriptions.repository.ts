import { arrayParameter, type Transaction } from '@aloft/database';
import type { EntityManager } from 'typeorm';
import { descriptionModel } from '../listing/registry-models.js';
import { compileList, SqlParameters, type ListRequest } from '../listing/list-query.js';
import { DescriptionRow } from '../registry/entities.js';
import type { EntityKey, NameKey } from '../registry/identifiers.js';

export type DescriptionValues = Pick<DescriptionRow, 'resourceType' | 'digest' | 'entity' | 'shortDescription'> &
  EntityKey;

const insertStatement = {
  name: 'admin-insert-descriptions',
  text: `INSERT INTO descriptions (org, project, domain, name, version, short_description, resource_type, digest, entity)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::bytea[], $9::bytea[])`,
};

/** I/O on the table of descriptions. */
export class DescriptionsRepository {
  sendNew(tx: Transaction, descriptions: readonly DescriptionValues[]): void {
    const texts = ['org', 'project', 'domain', 'name', 'version', 'shortDescription'] as const;
    tx.send(insertStatement, [
      ...texts.map((part) => descriptions.map((description) => description[part])),
      descriptions.map(({ resourceType }) => resourceType),
      ...(['digest', 'entity'] as const).map((part) =>
        arrayParameter(
          'bytea',
          descriptions.map((description) => description[part]),
        ),
      ),
    ]);
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
