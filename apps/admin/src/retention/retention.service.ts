import type { Database } from '@aloft/database';
import { failedPrecondition, invalidArgument, notFound } from '@aloft/errors';
import {
  DueRun_Action,
  type DueRun,
  type LegalHold,
  type PreviewRetentionRequest,
  type PreviewRetentionResponse,
  type RetentionPolicy,
  type RetentionScope,
} from '@aloft/idl/aloft/v1/retention';
import type { Duration } from '@aloft/idl/google/protobuf/duration';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import type { ProjectsService } from '../projects/projects.service.js';
import { timestampOf } from '../time.js';
import type { ErasuresRepository } from './erasures.repository.js';
import type { DueRow, RetentionRepository } from './retention.repository.js';
import { describeScope, requireRetentionScope } from './scopes.js';

const holdId = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const previewLimit = 100;
const longestPreview = 1_000;

/** Policies, holds, and what they come to (U-8). */
export class RetentionService {
  constructor(
    private readonly database: Database,
    private readonly retention: RetentionRepository,
    private readonly erasures: ErasuresRepository,
    private readonly executions: ExecutionsRepository,
    private readonly projects: ProjectsService,
    /** A policy changed. */
    private readonly onChanged: () => void,
  ) {}

  async setPolicy(policy: RetentionPolicy | undefined, principal: string): Promise<RetentionPolicy> {
    const { scope, policy: asked } = await this.requirePolicy(policy);
    const set = await this.retention.setPolicy(this.database, scope, asked, principal);
    this.onChanged();
    return set;
  }

  async getPolicy(scope: RetentionScope | undefined): Promise<RetentionPolicy> {
    const asked = await requireRetentionScope(this.projects, scope, 'scope');
    const found = await this.retention.findPolicy(this.database, asked);
    if (!found) throw notFound(`there is no retention policy for ${describeScope(asked)}`);
    return found;
  }

  async deletePolicy(scope: RetentionScope | undefined): Promise<void> {
    const asked = await requireRetentionScope(this.projects, scope, 'scope');
    if (!(await this.retention.deletePolicy(this.database, asked)))
      throw notFound(`there is no retention policy for ${describeScope(asked)}`);
    this.onChanged();
  }

  listPolicies(org: string, project: string): Promise<RetentionPolicy[]> {
    return this.retention.policies(this.database, project === '' ? { org } : { org, project });
  }

  async preview(request: PreviewRetentionRequest): Promise<PreviewRetentionResponse> {
    let policies = await this.retention.policies(this.database, { org: request.org });
    if (request.policy) {
      const { scope, policy } = await this.requirePolicy(request.policy);
      policies = [...policies.filter((other) => !other.scope || !sameScope(other.scope, scope)), { ...policy, scope }];
    }
    const limit = Math.min(request.limit || previewLimit, longestPreview);
    const runs: DueRun[] = [];
    for (const { org, project } of await this.retention.projects(this.database))
      for (const { id: domain } of this.projects.domains) {
        if (org !== request.org || runs.length > limit) continue;
        const place = { org, project, domain };
        const rows = await this.retention.due(this.database, place, policies, undefined, limit + 1 - runs.length);
        runs.push(...rows.map(dueRun));
      }
    return { runs: runs.slice(0, limit), more: runs.length > limit };
  }

  async setHold(hold: LegalHold | undefined, principal: string): Promise<LegalHold> {
    if (!hold) throw invalidArgument('hold: missing');
    if (!holdId.test(hold.id))
      throw invalidArgument(
        `hold.id: "${hold.id}" must be 1 to 63 letters, digits, "-", "_" or ".", e.g. the number of the case`,
      );
    const scope = await requireRetentionScope(this.projects, hold.scope, 'hold.scope');
    if (hold.execution !== '' && (scope.project === '' || scope.domain === ''))
      throw invalidArgument('hold.scope: project and domain of the execution are missing');
    return this.database.transaction(async (tx) => {
      await this.retention.lockHolds(tx);
      const before = await this.retention.findHold(tx, scope.org, hold.id);
      if (before && (before.execution !== hold.execution || !sameScope(before.scope!, scope)))
        throw failedPrecondition(
          `hold ${hold.id} is on ${describeHold(before)} already; remove it first, or give this one another id`,
        );
      if (hold.execution !== '') await this.requireHoldable(tx, scope, hold.execution);
      return this.retention.setHold(tx, scope, hold, principal);
    });
  }

  async removeHold(org: string, id: string): Promise<void> {
    if (!(await this.retention.removeHold(this.database, org, id))) throw notFound(`there is no legal hold "${id}"`);
    this.onChanged();
  }

  listHolds(org: string, project: string): Promise<LegalHold[]> {
    return this.retention.holds(this.database, org, project);
  }

  private async requireHoldable(tx: Parameters<ErasuresRepository['latest']>[0], scope: RetentionScope, name: string) {
    const key = { org: scope.org, project: scope.project, domain: scope.domain, name };
    const row = await this.executions.find(tx, key);
    if (!row) throw notFound(`hold.execution: there is no execution ${scope.project}/${scope.domain}/${name}`);
    const erasure = await this.erasures.latest(tx, key, row.uid);
    if (erasure?.removed)
      throw failedPrecondition(
        `${scope.project}/${scope.domain}/${name} is being erased (${erasure.id}): it can't be held any more`,
      );
  }

  private async requirePolicy(policy: RetentionPolicy | undefined) {
    if (!policy) throw invalidArgument('policy: missing');
    const scope = await requireRetentionScope(this.projects, policy.scope, 'policy.scope');
    requirePeriod(policy.archiveAfter, 'policy.archive_after');
    requirePeriod(policy.eraseAfter, 'policy.erase_after');
    const { archiveAfter, eraseAfter } = policy;
    if (archiveAfter && eraseAfter && eraseAfter.seconds < archiveAfter.seconds)
      throw invalidArgument(
        `policy.erase_after: ${eraseAfter.seconds}s is sooner than archive_after, ${archiveAfter.seconds}s; runs are archived first`,
      );
    return { scope, policy };
  }
}

function requirePeriod(period: Duration | undefined, where: string): void {
  if (period && (period.seconds < 0n || period.nanos !== 0))
    throw invalidArgument(`${where}: ${period.seconds}s ${period.nanos}ns must be whole seconds, 0 or more`);
}

function sameScope(a: RetentionScope, b: RetentionScope): boolean {
  return (['org', 'project', 'domain', 'labelKey', 'labelValue'] as const).every((part) => a[part] === b[part]);
}

function describeHold({ scope, execution }: LegalHold): string {
  return execution === '' ? describeScope(scope!) : `${scope!.project}/${scope!.domain}/${execution}`;
}

export function dueRun(row: DueRow): DueRun {
  const { org, project, domain, name } = row;
  return {
    id: { org, project, domain, name },
    action: row.erase ? DueRun_Action.ERASE : DueRun_Action.ARCHIVE,
    endedAt: timestampOf(row.ended_at),
    policy: {
      org,
      project: row.policy_project,
      domain: row.policy_domain,
      labelKey: row.label_key,
      labelValue: row.label_value,
    },
    heldBy: row.held_by ?? '',
  };
}
