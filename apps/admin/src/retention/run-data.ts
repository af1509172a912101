import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import { rawOutputPrefix, taskName } from '@aloft/engine';
import { toAloftError } from '@aloft/errors';
import { ExecutionSettings } from '@aloft/idl/aloft/v1/bus';
import type { AdminConfig } from '../config.js';
import { executionFolder } from '../executions/execution-inputs.js';
import type { ExecutionDataRow } from '../executions/executions.repository.js';
import type { ErasuresRepository } from './erasures.repository.js';

/** A folder in blob storage with what is a run's in it. */
interface Place {
  prefix: string;
  /** Of all that lies under it: what is the run's, by its name below the prefix. */
  isOwn?: (rest: string) => boolean;
}

export interface Found {
  objects: number;
  bytes: number;
  /** Folders that had anything, and prefixes that are out of reach. */
  places: string[];
  left: string[];
}

const deletesAtOnce = 16;

/** A run's data that no other service looks after: large inputs, and what its tasks wrote as files, datasets and checkpoints (C-101). */
export class RunData {
  constructor(
    private readonly database: Database,
    private readonly erasures: ErasuresRepository,
    private readonly blob: BlobStore,
    private readonly config: AdminConfig,
  ) {}

  /** Counts it; with `remove` it goes. */
  async visit(row: ExecutionDataRow, remove: boolean): Promise<Found> {
    const found: Found = { objects: 0, bytes: 0, places: [], left: [] };
    for (const place of await this.places(row)) {
      try {
        await this.visitPlace(place, remove, found);
      } catch (thrown) {
        // Another bucket than the platform's: tasks write there with rights of their own.
        if (toAloftError(thrown).code !== 'INVALID_ARGUMENT') throw thrown;
        found.left.push(place.prefix);
      }
    }
    return found;
  }

  private async visitPlace({ prefix, isOwn }: Place, remove: boolean, found: Found): Promise<void> {
    let batch: string[] = [];
    let any = false;
    const empty = async () => {
      await Promise.all(batch.map((uri) => this.blob.delete(uri)));
      batch = [];
    };
    for await (const { uri, size } of this.blob.list(prefix)) {
      if (isOwn && !isOwn(uri.slice(prefix.length))) continue;
      found.objects += 1;
      found.bytes += size;
      any = true;
      if (remove && batch.push(uri) >= deletesAtOnce) await empty();
    }
    await empty();
    if (any) found.places.push(prefix);
  }

  private async places(row: ExecutionDataRow): Promise<Place[]> {
    const key = { org: row.org, project: row.project, domain: row.domain, name: row.name };
    const places: Place[] = [{ prefix: `${executionFolder(this.blob, this.config.storagePrefix, key, row.uid)}/` }];
    const root = ExecutionSettings.decode(row.settings).rawOutputPrefix;
    if (root === '') return places;
    const unique = row.uid.slice(0, 8);
    const attempts = await this.erasures.attempts(this.database, row.id);
    // Of an array's items only some are known here by name: everything there is looked at.
    if (attempts.some(({ is_array }) => is_array)) {
      const own = new RegExp(`^[0-9a-z]{2}/[a-z0-9-]+-${unique}/`);
      places.push({ prefix: `${root.replace(/\/+$/, '')}/`, isOwn: (rest) => own.test(rest) });
      return places;
    }
    for (const { node_id, retry_attempt } of attempts)
      places.push({ prefix: `${rawOutputPrefix(root, `${taskName(row.name, node_id, retry_attempt)}-${unique}`)}/` });
    return places;
  }
}
