import { alreadyExists, invalidArgument, notFound } from '@aloft/errors';
import type { Database } from '@aloft/database';
import { CachedOutput } from '@aloft/idl/flyteidl/cacheservice/cacheservice';
import { requireKeyPart } from '../datasets/dataset-id.js';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';

interface EntryRow {
  output: Buffer;
  created_us: bigint;
  updated_us: bigint;
}

/** Outputs under opaque keys. */
export class CacheEntriesService {
  constructor(private readonly database: Database) {}

  async get(key: string): Promise<CachedOutput> {
    const { rows } = await this.database.query<EntryRow>(
      `SELECT output, (extract(epoch FROM created_at) * 1000000)::bigint AS created_us,
         (extract(epoch FROM updated_at) * 1000000)::bigint AS updated_us
       FROM cache_entries WHERE key = $1`,
      [requireKey(key)],
    );
    const row = rows[0];
    if (!row) throw notFound(`the cache has nothing under "${key}"`);
    const output = CachedOutput.decode(row.output);
    const metadata = { sourceIdentifier: undefined, keyMap: undefined, ...output.metadata };
    return {
      ...output,
      metadata: { ...metadata, createdAt: timestamp(row.created_us), lastUpdatedAt: timestamp(row.updated_us) },
    };
  }

  /** ALREADY_EXISTS unless `overwrite`. */
  async put(key: string, output: CachedOutput | undefined, overwrite: boolean): Promise<void> {
    requireKey(key);
    if (!output?.output) throw invalidArgument('output is missing: give output_literals or output_uri');
    const { rowCount } = await this.database.query(
      `INSERT INTO cache_entries AS e (key, output) VALUES ($1, $2)
       ON CONFLICT (key) DO UPDATE SET output = excluded.output, updated_at = clock_timestamp() WHERE $3`,
      [key, CachedOutput.encode(output).finish(), overwrite],
    );
    if (rowCount === 0)
      throw alreadyExists(`the cache has something under "${key}" already: say overwrite to replace it`);
  }

  /** What is not there is deleted already. */
  async delete(key: string): Promise<void> {
    await this.database.query('DELETE FROM cache_entries WHERE key = $1', [requireKey(key)]);
  }
}

export function requireKey(key: string): string {
  if (key === '') throw invalidArgument('key is empty: a cached output needs a key');
  requireKeyPart(key, 'key');
  return key;
}

const timestamp = (us: bigint): Timestamp => ({ seconds: us / 1_000_000n, nanos: Number(us % 1_000_000n) * 1000 });
