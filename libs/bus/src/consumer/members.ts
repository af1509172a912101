import type { Database } from '@aloft/database';

export interface Share {
  /** Streams this member may hold. */
  most: number;
  members: number;
}

/** The database session that stands for a process; see {@link createStreamLeases}. */
export interface SessionId {
  pid: number;
  start: string;
}

/**
 * Who shares the streams of a group's topic now (table `bus_members`): each says every third of a lease time that it is
 * still there. A member is gone when it says so, when it falls silent, or with its session.
 */
export class Members {
  constructor(
    readonly database: Database,
    readonly group: string,
    readonly topic: string,
    readonly owner: string,
    readonly leaseMs: number,
  ) {}

  /**
   * Says that this process is a member, and what its fair share of `streams` is: as many as everybody's, the odd ones with
   * those that hold most already, so that nothing moves without need.
   */
  async share(streams: number, { pid, start }: SessionId): Promise<Share> {
    const { rows } = await this.database.query<{ owner: string; held: bigint }>(
      `WITH me AS (
         INSERT INTO bus_members AS m (group_name, topic, owner, session_pid, session_start, expires_at)
         VALUES ($1, $2, $3, $4, $5, clock_timestamp() + $6 * interval '1 millisecond')
         ON CONFLICT (group_name, topic, owner) DO UPDATE
         SET session_pid = excluded.session_pid, session_start = excluded.session_start, expires_at = excluded.expires_at
         RETURNING owner
       ), gone AS (
         DELETE FROM bus_members WHERE group_name = $1 AND topic = $2 AND owner <> $3
           AND expires_at < clock_timestamp() - interval '1 minute'
       ), alive AS (
         SELECT owner FROM me UNION
         SELECT owner FROM bus_members m WHERE group_name = $1 AND topic = $2 AND expires_at > clock_timestamp()
           AND EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.pid = m.session_pid AND a.backend_start = m.session_start)
       )
       SELECT owner, (SELECT count(*) FROM bus_streams s WHERE s.group_name = $1 AND s.topic = $2
                      AND s.owner = alive.owner AND s.expires_at > clock_timestamp()) AS held
       FROM alive ORDER BY held DESC, owner`,
      [this.group, this.topic, this.owner, pid, start, this.leaseMs],
    );
    const rank = rows.findIndex(({ owner }) => owner === this.owner);
    const most = Math.floor(streams / rows.length) + (rank < streams % rows.length ? 1 : 0);
    return { most, members: rows.length };
  }

  async leave(): Promise<void> {
    await this.database.query('DELETE FROM bus_members WHERE group_name = $1 AND topic = $2 AND owner = $3', [
      this.group,
      this.topic,
      this.owner,
    ]);
  }
}
