import type { Queryable } from '@aloft/database';

export interface ArtifactRow {
  id: string;
  dataset: string;
  data: Buffer;
  metadata: Record<string, string>;
  partitions: Record<string, string>;
  /** Microseconds since the epoch. */
  created_us: bigint;
  tags: string[];
}

export interface NewArtifact {
  dataset: string;
  id: string;
  data: Uint8Array;
  metadata: Record<string, string>;
  partitions: Record<string, string>;
}

/** One equality condition on an artifact. */
export type ArtifactCondition =
  { kind: 'tag'; name: string } | { kind: 'partition'; key: string; value: string } | { kind: 'id'; id: string };

const select = `
  SELECT a.id, a.dataset, a.data, a.metadata, a.partitions, (extract(epoch FROM a.created_at) * 1000000)::bigint AS created_us,
    ARRAY(SELECT t.name FROM tags t WHERE t.dataset = a.dataset AND t.artifact_id = a.id ORDER BY t.name) AS tags
  FROM artifacts a`;

export class ArtifactsRepository {
  /** False if the dataset has one of this id already. */
  async insert(db: Queryable, artifact: NewArtifact): Promise<boolean> {
    const { rowCount } = await db.query(
      `INSERT INTO artifacts (dataset, id, data, metadata, partitions) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
      [artifact.dataset, artifact.id, artifact.data, artifact.metadata, artifact.partitions],
    );
    return rowCount === 1;
  }

  async findById(db: Queryable, id: string, dataset?: string): Promise<ArtifactRow | undefined> {
    const { rows } =
      dataset === undefined
        ? await db.query<ArtifactRow>(`${select} WHERE a.id = $1 ORDER BY a.created_at LIMIT 1`, [id])
        : await db.query<ArtifactRow>(`${select} WHERE a.id = $1 AND a.dataset = $2`, [id, dataset]);
    return rows[0];
  }

  async findByTag(db: Queryable, dataset: string, tag: string): Promise<ArtifactRow | undefined> {
    const { rows } = await db.query<ArtifactRow>(
      `${select} JOIN tags g ON g.dataset = a.dataset AND g.artifact_id = a.id WHERE g.dataset = $1 AND g.name = $2`,
      [dataset, tag],
    );
    return rows[0];
  }

  /** False if the dataset has a tag of this name already, whatever it points at. */
  async insertTag(db: Queryable, dataset: string, name: string, artifactId: string): Promise<boolean> {
    const { rowCount } = await db.query(
      `INSERT INTO tags (dataset, name, artifact_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
      [dataset, name, artifactId],
    );
    return rowCount === 1;
  }

  async replace(db: Queryable, row: ArtifactRow, data: Uint8Array, metadata: Record<string, string>): Promise<void> {
    await db.query('UPDATE artifacts SET data = $3, metadata = $4 WHERE dataset = $1 AND id = $2', [
      row.dataset,
      row.id,
      data,
      metadata,
    ]);
  }

  async list(
    db: Queryable,
    dataset: string,
    conditions: readonly ArtifactCondition[],
    page: { limit: number; offset: number; ascending: boolean },
  ): Promise<ArtifactRow[]> {
    const values: unknown[] = [dataset, page.limit, page.offset];
    const where = conditions.map((condition) => {
      const next = `$${values.length + 1}`;
      if (condition.kind === 'partition') {
        values.push(JSON.stringify({ [condition.key]: condition.value }));
        return `a.partitions @> ${next}::jsonb`;
      }
      values.push(condition.kind === 'tag' ? condition.name : condition.id);
      return condition.kind === 'tag'
        ? `EXISTS (SELECT 1 FROM tags g WHERE g.dataset = a.dataset AND g.artifact_id = a.id AND g.name = ${next})`
        : `a.id = ${next}`;
    });
    const order = page.ascending ? 'ASC' : 'DESC';
    const { rows } = await db.query<ArtifactRow>(
      `${select} WHERE ${['a.dataset = $1', ...where].join(' AND ')}
       ORDER BY a.created_at ${order}, a.id ${order} LIMIT $2 OFFSET $3`,
      values,
    );
    return rows;
  }
}
