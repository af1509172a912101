import type { Queryable } from '@aloft/database';
import type { Dataset, DatasetID } from '@aloft/idl/flyteidl/datacatalog/datacatalog';

export interface DatasetRow {
  uuid: string;
  org: string;
  project: string;
  domain: string;
  name: string;
  version: string;
  partition_keys: string[];
  metadata: Record<string, string>;
}

/** Equality conditions on columns of `datasets`, as A-145 allows them. */
export type DatasetCondition = [column: 'org' | 'project' | 'domain' | 'name' | 'version', value: string];

const columns = 'uuid, org, project, domain, name, version, partition_keys, metadata';

export class DatasetsRepository {
  /** False if there is one of these parts already. */
  async insert(
    db: Queryable,
    id: DatasetID,
    partitionKeys: string[],
    metadata: Record<string, string>,
  ): Promise<boolean> {
    const { rowCount } = await db.query(
      `INSERT INTO datasets (org, project, domain, name, version, partition_keys, metadata)
       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
      [id.org, id.project, id.domain, id.name, id.version, partitionKeys, metadata],
    );
    return rowCount === 1;
  }

  async find(db: Queryable, id: DatasetID): Promise<DatasetRow | undefined> {
    const { rows } =
      id.UUID !== ''
        ? await db.query<DatasetRow>(`SELECT ${columns} FROM datasets WHERE uuid = $1`, [id.UUID])
        : await db.query<DatasetRow>(
            `SELECT ${columns} FROM datasets
             WHERE org = $1 AND project = $2 AND domain = $3 AND name = $4 AND version = $5`,
            [id.org, id.project, id.domain, id.name, id.version],
          );
    return rows[0];
  }

  async list(
    db: Queryable,
    conditions: readonly DatasetCondition[],
    page: { limit: number; offset: number; ascending: boolean },
  ): Promise<DatasetRow[]> {
    const where = conditions.map(([column], i) => `${column} = $${i + 3}`).join(' AND ') || 'true';
    const order = page.ascending ? 'ASC' : 'DESC';
    const { rows } = await db.query<DatasetRow>(
      `SELECT ${columns} FROM datasets WHERE ${where} ORDER BY created_at ${order}, uuid ${order} LIMIT $1 OFFSET $2`,
      [page.limit, page.offset, ...conditions.map(([, value]) => value)],
    );
    return rows;
  }
}

export function datasetOf(row: DatasetRow): Dataset {
  const { uuid, org, project, domain, name, version } = row;
  return {
    id: { UUID: uuid, org, project, domain, name, version },
    metadata: { keyMap: row.metadata },
    partitionKeys: row.partition_keys,
  };
}
