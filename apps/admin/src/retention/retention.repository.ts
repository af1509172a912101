import type { Queryable } from '@aloft/database';
import type { LegalHold, RetentionPolicy, RetentionScope } from '@aloft/idl/aloft/v1/retention';
import type { NameKey } from '../registry/identifiers.js';
import { timestampOf } from '../time.js';
import { inScope } from './scopes.js';

interface ScopeRow {
  org: string;
  project: string;
  domain: string;
  label_key: string;
  label_value: string;
}

type PolicyRow = ScopeRow &
  Record<'archive_after' | 'erase_after', bigint | null> & { updated_at: Date; principal: string };
type HoldRow = ScopeRow & { id: string; execution: string; reason: string; principal: string; set_at: Date };

/** A run for which something is due. */
export interface DueRow extends NameKey {
  id: bigint;
  uid: string;
  created_us: bigint;
  ended_at: Date;
  erase: boolean;
  archive: boolean;
  held_by: string | null;
  policy_project: string;
  policy_domain: string;
  label_key: string;
  label_value: string;
}

const scopeOf = (row: ScopeRow): RetentionScope => ({
  org: row.org,
  project: row.project,
  domain: row.domain,
  labelKey: row.label_key,
  labelValue: row.label_value,
});
const scopeValues = (scope: RetentionScope) => [
  scope.org,
  scope.project,
  scope.domain,
  scope.labelKey,
  scope.labelValue,
];
const seconds = (value: bigint | null) => (value === null ? undefined : { seconds: value, nanos: 0 });

function policyOf(row: PolicyRow): RetentionPolicy {
  const { archive_after, erase_after, updated_at, principal } = row;
  return {
    scope: scopeOf(row),
    archiveAfter: seconds(archive_after),
    eraseAfter: seconds(erase_after),
    updatedAt: timestampOf(updated_at),
    principal,
  };
}

function holdOf(row: HoldRow): LegalHold {
  const { id, execution, reason, principal, set_at } = row;
  return { id, scope: scopeOf(row), execution, reason, principal, setAt: timestampOf(set_at) };
}

const policyColumns = 'org, project, domain, label_key, label_value, archive_after, erase_after, updated_at, principal';
const holdColumns = 'id, org, project, domain, label_key, label_value, execution, reason, principal, set_at';
const whereScope = 'org = $1 AND project = $2 AND domain = $3 AND label_key = $4 AND label_value = $5';

/** A run has ended, and when; `e` is the execution. */
const hasEnded = `e.phase IN ('SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT')`;
const endedAt = `coalesce(e.started_at, e.created_at) + coalesce(e.duration_ns, 0) / 1000 * interval '1 microsecond'`;
const heldBy = `(SELECT min(h.id) FROM legal_holds h WHERE h.org = e.org AND h.execution IN ('', e.name) AND ${inScope('h')})`;

/**
 * Runs of one project and domain, oldest first, whose most specific policy has something due now. Runs created after
 * `now - $5` can't be due; index executions_newest. Children go with the run that started them.
 */
const dueText = `
SELECT e.id, e.uid, e.org, e.project, e.domain, e.name, (extract(epoch FROM e.created_at) * 1000000)::bigint AS created_us,
  ${endedAt} AS ended_at, d.erase, d.archive, p.project AS policy_project, p.domain AS policy_domain, p.label_key, p.label_value,
  ${heldBy} AS held_by
FROM executions e
CROSS JOIN LATERAL (
  SELECT s.* FROM jsonb_to_recordset($4::jsonb)
    AS s(project text, domain text, label_key text, label_value text, archive_after bigint, erase_after bigint)
  WHERE ${inScope('s')}
  ORDER BY s.label_key <> '' DESC, s.project <> '' AND s.domain <> '' DESC, s.project <> '' DESC, s.domain <> '' DESC,
    s.erase_after DESC NULLS FIRST, s.archive_after DESC NULLS FIRST
  LIMIT 1
) p
CROSS JOIN LATERAL (
  SELECT coalesce(${endedAt} <= now() - p.erase_after * interval '1 second', false) AND e.parent_execution_id IS NULL AS erase,
    coalesce(${endedAt} <= now() - p.archive_after * interval '1 second', false) AND e.state = 0 AS archive
) d
WHERE e.org = $1 AND e.project = $2 AND e.domain = $3 AND e.created_at <= now() - $5 * interval '1 second'
  AND (e.created_at, e.id) > (to_timestamp($6::bigint / 1000000.0), $7::bigint)
  AND ${hasEnded} AND (d.erase OR d.archive)
  AND NOT EXISTS (SELECT 1 FROM erasures x WHERE x.uid = e.uid)
ORDER BY e.created_at, e.id LIMIT $8`;

/** Policies, holds, and what is due by them. */
export class RetentionRepository {
  async setPolicy(
    db: Queryable,
    scope: RetentionScope,
    policy: RetentionPolicy,
    principal: string,
  ): Promise<RetentionPolicy> {
    const { rows } = await db.query<PolicyRow>(
      `INSERT INTO retention_policies (${policyColumns}) VALUES ($1, $2, $3, $4, $5, $6, $7, now(), $8)
       ON CONFLICT (org, project, domain, label_key, label_value) DO UPDATE
         SET archive_after = excluded.archive_after, erase_after = excluded.erase_after, updated_at = now(), principal = $8
       RETURNING ${policyColumns}`,
      [...scopeValues(scope), policy.archiveAfter?.seconds ?? null, policy.eraseAfter?.seconds ?? null, principal],
    );
    return policyOf(rows[0]!);
  }

  async findPolicy(db: Queryable, scope: RetentionScope): Promise<RetentionPolicy | undefined> {
    const { rows } = await db.query<PolicyRow>(
      `SELECT ${policyColumns} FROM retention_policies WHERE ${whereScope}`,
      scopeValues(scope),
    );
    return rows[0] && policyOf(rows[0]);
  }

  async deletePolicy(db: Queryable, scope: RetentionScope): Promise<boolean> {
    return (await db.query(`DELETE FROM retention_policies WHERE ${whereScope}`, scopeValues(scope))).rowCount === 1;
  }

  /** Of one organisation and, with a project, those that name it; else of all. */
  async policies(db: Queryable, { org, project }: { org?: string; project?: string } = {}): Promise<RetentionPolicy[]> {
    const { rows } = await db.query<PolicyRow>(
      `SELECT ${policyColumns} FROM retention_policies
       WHERE ($1::text IS NULL OR org = $1) AND ($2::text IS NULL OR project = $2)
       ORDER BY org, project, domain, label_key, label_value`,
      [org ?? null, project ?? null],
    );
    return rows.map(policyOf);
  }

  async setHold(db: Queryable, scope: RetentionScope, hold: LegalHold, principal: string): Promise<LegalHold> {
    const { rows } = await db.query<HoldRow>(
      `INSERT INTO legal_holds (${holdColumns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now())
       ON CONFLICT (org, id) DO UPDATE SET reason = excluded.reason RETURNING ${holdColumns}`,
      [hold.id, ...scopeValues(scope), hold.execution, hold.reason, principal],
    );
    return holdOf(rows[0]!);
  }

  async findHold(db: Queryable, org: string, id: string): Promise<LegalHold | undefined> {
    const { rows } = await db.query<HoldRow>(`SELECT ${holdColumns} FROM legal_holds WHERE org = $1 AND id = $2`, [
      org,
      id,
    ]);
    return rows[0] && holdOf(rows[0]);
  }

  async removeHold(db: Queryable, org: string, id: string): Promise<boolean> {
    return (await db.query('DELETE FROM legal_holds WHERE org = $1 AND id = $2', [org, id])).rowCount === 1;
  }

  async holds(db: Queryable, org: string, project: string): Promise<LegalHold[]> {
    const { rows } = await db.query<HoldRow>(
      `SELECT ${holdColumns} FROM legal_holds WHERE org = $1 AND ($2 = '' OR project = $2) ORDER BY id`,
      [org, project],
    );
    return rows.map(holdOf);
  }

  /** Serialises what sets holds with what begins erasures, until the transaction ends. */
  async lockHolds(db: Queryable): Promise<void> {
    await db.query(`SELECT pg_advisory_xact_lock(hashtextextended('retention holds', 8))`);
  }

  /** The hold that one of these runs is under, if any. */
  async heldBy(db: Queryable, ids: readonly bigint[]): Promise<{ name: string; hold: string } | undefined> {
    const { rows } = await db.query<{ name: string; hold: string }>(
      `SELECT e.name, ${heldBy} AS hold FROM executions e WHERE e.id = ANY($1::bigint[]) AND ${heldBy} IS NOT NULL LIMIT 1`,
      [ids],
    );
    return rows[0];
  }

  /** `policies`: of the organisation. `after`: the last row of the batch before. */
  async due(
    db: Queryable,
    place: Omit<NameKey, 'name'>,
    policies: readonly RetentionPolicy[],
    after: { created_us: bigint; id: bigint } | undefined,
    limit: number,
  ): Promise<DueRow[]> {
    const times = policies.flatMap((policy) => timesOf(policy));
    if (times.length === 0) return [];
    const shortest = times.reduce((a, b) => (b < a ? b : a));
    const { rows } = await db.query<DueRow & Record<string, unknown>>(dueText, [
      place.org,
      place.project,
      place.domain,
      JSON.stringify(policies.map(asRecord)),
      shortest,
      after?.created_us ?? 0n,
      after?.id ?? 0n,
      limit,
    ]);
    return rows;
  }

  /**
   * Milliseconds until the next run there may be due for one of these periods, in seconds since its end; `undefined` if none is known
   * that will be. Runs that end later than they might are found by the pass after that.
   */
  async nextDueMs(
    db: Queryable,
    { org, project, domain }: Omit<NameKey, 'name'>,
    periods: readonly bigint[],
  ): Promise<number | undefined> {
    const { rows } = await db.query<{ ms: number | null }>(
      `SELECT min(extract(epoch FROM (next.at + p.seconds * interval '1 second') - now()) * 1000)::float8 AS ms
       FROM unnest($4::bigint[]) AS p(seconds)
       CROSS JOIN LATERAL (
         SELECT min(e.created_at) AS at FROM executions e
         WHERE e.org = $1 AND e.project = $2 AND e.domain = $3 AND e.created_at > now() - p.seconds * interval '1 second'
       ) next`,
      [org, project, domain, periods],
    );
    const ms = rows[0]?.ms;
    return ms === null || ms === undefined ? undefined : Math.max(0, ms);
  }

  /** Where there may be runs. */
  async projects(db: Queryable): Promise<{ org: string; project: string }[]> {
    const { rows } = await db.query<{ org: string; project: string }>(
      'SELECT org, identifier AS project FROM projects ORDER BY org, identifier',
    );
    return rows;
  }

  /** True for one process at a time, for so long; again true for that one. */
  async takeTurn(db: Queryable, holder: string, ms: number): Promise<boolean> {
    const { rowCount } = await db.query(
      `INSERT INTO retention_turn AS t (holder, until) VALUES ($1, now() + $2 * interval '1 millisecond')
       ON CONFLICT (one) DO UPDATE SET holder = $1, until = excluded.until WHERE t.holder = $1 OR t.until < now()`,
      [holder, ms],
    );
    return rowCount === 1;
  }
}

export function timesOf({ archiveAfter, eraseAfter }: RetentionPolicy): bigint[] {
  return [archiveAfter, eraseAfter].flatMap((time) => (time ? [time.seconds] : []));
}

function asRecord({ scope, archiveAfter, eraseAfter }: RetentionPolicy) {
  return {
    project: scope?.project ?? '',
    domain: scope?.domain ?? '',
    label_key: scope?.labelKey ?? '',
    label_value: scope?.labelValue ?? '',
    archive_after: archiveAfter === undefined ? null : Number(archiveAfter.seconds),
    erase_after: eraseAfter === undefined ? null : Number(eraseAfter.seconds),
  };
}
