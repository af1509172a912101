import type { Database } from '@aloft/database';
import { GroupRead } from '../registry/group-read.js';
import { keyText, type NameKey } from '../registry/identifiers.js';
import type { ExecutionRow, ExecutionsRepository } from './executions.repository.js';

/** Reads single executions, many with one statement. */
export class ExecutionReader {
  private readonly group: GroupRead<NameKey, ExecutionRow>;

  constructor(database: Database, executions: ExecutionsRepository) {
    this.group = new GroupRead(keyText, async (keys) => {
      const rows = await executions.findAll(database, keys);
      return new Map(rows.map((row) => [keyText(row), row]));
    });
  }

  find(key: NameKey): Promise<ExecutionRow | undefined> {
    return this.group.find(key);
  }
}
