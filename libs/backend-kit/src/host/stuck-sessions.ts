import type { Database, Transaction } from '@aloft/database';

const lookMs = 500;

/**
 * A transaction that does not wait for paused processes: sessions in whose open transactions nothing happens, and which hold
 * locks that this one needs, are ended. What they did is rolled back; they find out when they go on.
 */
export async function endStuckBlockers<T>(database: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await database.transaction(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const look = () =>
        database
          .query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE pid = ANY(pg_blocking_pids($1)) AND state LIKE 'idle in transaction%'
               AND state_change < clock_timestamp() - $2 * interval '1 ms'`,
            [rows[0]?.pid, lookMs],
          )
          // It was only to help: the transaction itself fails or waits.
          .catch(() => undefined);
      timer = setInterval(() => void look(), lookMs);
      return work(tx);
    });
  } finally {
    clearInterval(timer);
  }
}
