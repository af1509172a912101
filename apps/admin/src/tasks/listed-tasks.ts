import type { Queryable } from '@aloft/database';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { LRUCache } from 'lru-cache';
import { identifierOf, type EntityKey } from '../registry/identifiers.js';
import { timestampOf } from '../time.js';
import { encodeListedTask } from './encode-tasks.js';
import type { TasksRepository } from './tasks.repository.js';

/**
 * Tasks as lists show them, encoded. What is registered never changes, and clients look at the same newest tasks all the time: entries are kept, so many
 * bytes of them.
 */
export class ListedTasks {
  private readonly kept: LRUCache<string, Uint8Array>;

  constructor(
    private readonly tasks: TasksRepository,
    maxBytes: number,
  ) {
    this.kept = new LRUCache({ maxSize: maxBytes, sizeCalculation: (entry, key) => entry.length + 2 * key.length });
  }

  /** Entries of a TaskList, in the keys' order. */
  async entries(db: Queryable, keys: readonly EntityKey[]): Promise<Uint8Array[]> {
    const texts = keys.map(textOf);
    const found = texts.map((text) => this.kept.get(text));
    const missing = keys.filter((_key, i) => found[i] === undefined);
    if (missing.length > 0) {
      const loaded = await this.load(db, missing);
      for (const [i, text] of texts.entries()) found[i] ??= loaded.get(text);
    }
    return found.filter((entry) => entry !== undefined);
  }

  private async load(db: Queryable, keys: readonly EntityKey[]): Promise<ReadonlyMap<string, Uint8Array>> {
    const loaded = new Map<string, Uint8Array>();
    for (const row of await this.tasks.readListed(db, keys)) {
      const { compiled, shortDescription } = row;
      const id = identifierOf(row, ResourceType.TASK);
      const entry = encodeListedTask({ id, compiled, createdAt: timestampOf(row.createdAt), shortDescription });
      loaded.set(textOf(row), entry);
      this.kept.set(textOf(row), entry);
    }
    return loaded;
  }
}

/** No part may hold a NUL. */
const textOf = ({ org, project, domain, name, version }: EntityKey): string =>
  `${org}\0${project}\0${domain}\0${name}\0${version}`;
