import type { Database } from '@aloft/database';
import { toAloftError } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';

export interface Retention {
  /** Messages that every group has stored are kept this long for those who tail or look back (default 5 minutes) … */
  ms: number;
  /** … as long as a stream keeps no more than this many bytes of them (default 64 MiB). */
  bytes: number;
}

const everyMs = 10_000;
const rowsAtOnce = 500;
/** A group that has not said anything for so long and holds the trimming is worth a line in the log. */
const silentMs = 3_600_000;

/**
 * Removes what nobody needs: rows up to the lowest position that a registered group of the stream has stored, when they
 * are old or many. A stream without a group keeps everything: its first consumer may be yet to come.
 */
export class Trimmer {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<unknown> | undefined;
  #closed = false;
  #warned = 0;

  constructor(
    readonly database: Database,
    readonly retention: Retention,
    readonly log: Logger,
  ) {}

  start(): void {
    if (this.#closed || this.#timer) return;
    this.#timer = setInterval(() => {
      this.#running ??= this.run()
        .catch((error) => this.log.warn({ err: toAloftError(error) }, 'the bus could not trim; it tries again'))
        .finally(() => (this.#running = undefined));
    }, everyMs);
    this.#timer.unref();
  }

  /** One round; returns how many rows it removed. */
  async run(): Promise<number> {
    let removed = 0;
    for (const stream of await this.#candidates()) {
      for (;;) {
        const count = await this.#trim(stream);
        removed += count;
        if (count < rowsAtOnce || this.#closed) break;
      }
    }
    return removed;
  }

  async #candidates(): Promise<{ topic: string; partition: number; low: bigint }[]> {
    const { rows } = await this.database.query<{
      topic: string;
      partition: number;
      low: bigint;
      behind: bigint;
      silent: string | null;
    }>(
      `SELECT g.topic, g.partition, min(g.position) AS low, max(s.head) - min(g.position) AS behind,
              min(g.group_name) FILTER (WHERE g.seen_at < now() - $1 * interval '1 millisecond') AS silent
       FROM groups g JOIN streams s USING (topic, partition) GROUP BY g.topic, g.partition`,
      [silentMs],
    );
    const held = rows.find((row) => row.silent !== null && row.behind > 100_000n);
    if (held && Date.now() - this.#warned > silentMs) {
      this.#warned = Date.now();
      this.log.warn(
        { ...held, behind: String(held.behind), low: String(held.low) },
        'a silent group keeps the bus from trimming',
      );
    }
    return rows;
  }

  #trim({ topic, partition, low }: { topic: string; partition: number; low: bigint }): Promise<number> {
    return this.database.transaction(async (tx) => {
      // One process trims a stream at a time; the others leave it.
      const { rows } = await tx.query<{ free: boolean }>(
        `SELECT pg_try_advisory_xact_lock(hashtext('aloft.bus.trim'), hashtext($1)) AS free`,
        [`${topic}/${partition}`],
      );
      if (!rows[0]!.free) return 0;
      const { rowCount } = await tx.query(
        `DELETE FROM messages WHERE topic = $1 AND partition = $2 AND last IN (
           SELECT last FROM (
             SELECT last, published_at, sum(octet_length(payload)) OVER (ORDER BY last DESC) AS newer
             FROM messages WHERE topic = $1 AND partition = $2 AND last <= $3
           ) AS stored
           WHERE published_at < now() - $4 * interval '1 millisecond' OR newer > $5
           ORDER BY last LIMIT ${rowsAtOnce})`,
        [topic, partition, low, this.retention.ms, this.retention.bytes],
      );
      return rowCount ?? 0;
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#running;
  }
}
