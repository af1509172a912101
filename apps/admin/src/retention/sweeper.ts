import { randomUUID } from 'node:crypto';
import type { Database } from '@aloft/database';
import { toAloftError } from '@aloft/errors';
import type { RetentionPolicy } from '@aloft/idl/aloft/v1/retention';
import { ExecutionState } from '@aloft/idl/flyteidl/admin/execution';
import type { Work } from '@aloft/service';
import type { Logger } from '@aloft/telemetry';
import type { AdminConfig } from '../config.js';
import type { ExecutionControlService } from '../executions/execution-control.service.js';
import type { ProjectsService } from '../projects/projects.service.js';
import type { ErasuresService } from './erasures.service.js';
import { timesOf, type DueRow, type RetentionRepository } from './retention.repository.js';
import { describeScope } from './scopes.js';

/** Who did what a policy says. */
export const retentionPrincipal = 'retention';

/** Longer than a batch takes. */
const turnMs = 120_000;
/** Long enough for whatever is due in the same moment to be done together. */
const shortestPauseMs = 1_000;

/** Does what policies say of runs whose time has come: batch by batch, one replica at a time; what it does twice does nothing. */
export class Sweeper implements Work {
  readonly name = 'retention policies';
  private readonly holder = randomUUID();

  constructor(
    private readonly database: Database,
    private readonly retention: RetentionRepository,
    private readonly control: ExecutionControlService,
    private readonly erasures: ErasuresService,
    private readonly projects: ProjectsService,
    private readonly config: AdminConfig,
    private readonly logger: Logger,
    private readonly onErasures: () => void,
  ) {}

  async run(signal: AbortSignal): Promise<number | undefined> {
    const policies = await this.retention.policies(this.database);
    const periods = [...new Set(policies.flatMap(timesOf))];
    if (periods.length === 0) return undefined;
    let next: number | undefined;
    for (const { org, project } of await this.retention.projects(this.database)) {
      const ofOrg = policies.filter(({ scope }) => scope?.org === org);
      for (const { id: domain } of this.projects.domains) {
        if (signal.aborted || !(await this.retention.takeTurn(this.database, this.holder, turnMs))) return turnMs;
        await this.sweep({ org, project, domain }, ofOrg, signal);
        const due = await this.retention.nextDueMs(this.database, { org, project, domain }, periods);
        if (due !== undefined && (next === undefined || due < next)) next = due;
      }
    }
    return next === undefined ? undefined : Math.max(shortestPauseMs, next);
  }

  private async sweep(
    place: { org: string; project: string; domain: string },
    policies: readonly RetentionPolicy[],
    signal: AbortSignal,
  ) {
    const { batch } = this.config.retention;
    let after: DueRow | undefined;
    for (;;) {
      const rows = await this.retention.due(this.database, place, policies, after, batch);
      let erased = false;
      for (const row of rows)
        if (row.held_by === null && !signal.aborted) erased = (await this.carryOut(row)) || erased;
      if (erased) this.onErasures();
      after = rows.at(-1);
      if (rows.length < batch || signal.aborted) return;
      await this.retention.takeTurn(this.database, this.holder, turnMs);
    }
  }

  /** True if it is to be erased. */
  private async carryOut(row: DueRow): Promise<boolean> {
    const { org, project, domain, name } = row;
    const id = { org, project, domain, name };
    const policy = describeScope({
      org,
      project: row.policy_project,
      domain: row.policy_domain,
      labelKey: row.label_key,
      labelValue: row.label_value,
    });
    try {
      if (row.erase) {
        await this.erasures.request(id, `retention policy of ${policy}`, retentionPrincipal);
        return true;
      }
      await this.control.update({ id, state: ExecutionState.EXECUTION_ARCHIVED }, retentionPrincipal);
    } catch (thrown) {
      // Held or terminated since, or a child of it goes on: next time.
      this.logger.info(
        { err: toAloftError(thrown), execution: `${project}/${domain}/${name}` },
        'a retention policy waits for a run',
      );
    }
    return false;
  }
}
