import type { Logger } from '@aloft/telemetry';
import type { Database } from './database.js';

/** Rows added by this process at which a table is looked at; later Postgres does so often enough by itself. */
const steps = [100, 1_000, 10_000, 100_000];

/**
 * Has Postgres look at tables while they fill up from nothing (ANALYZE). Until its autovacuum has done so for the first time, up to a minute later, it takes
 * them for empty: any index that begins like the key's seems as good as that one, and a look-up by key reads all of a project.
 */
export class GrowingTables {
  private readonly rows = new Map<string, number>();

  constructor(
    private readonly database: Database,
    private readonly logger: Logger,
  ) {}

  /** `table`: an identifier in the database's schema, never a caller's text. Returns at once; a failure is logged and changes nothing. */
  grew(table: string, rows: number): void {
    const before = this.rows.get(table) ?? 0;
    const now = before + rows;
    this.rows.set(table, now);
    if (steps.some((step) => before < step && now >= step)) void this.analyze(table);
  }

  private async analyze(table: string): Promise<void> {
    try {
      await this.database.query(`ANALYZE ${table}`);
    } catch (error) {
      this.logger.warn({ err: error, table }, 'statistics of a table could not be renewed; autovacuum will');
    }
  }
}
