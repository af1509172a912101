import { anonymous, type Policy } from '@aloft/auth';
import { invalidArgument, notFound } from '@aloft/errors';
import { currentCall } from '@aloft/rpc';
import {
  MatchableResource,
  MatchingAttributes,
  type MatchableAttributesConfiguration,
  type PluginOverride,
  type WorkflowExecutionConfig,
} from '@aloft/idl/flyteidl/admin/matchable_resource';
import type { AdminConfig } from '../config.js';
import type { ProjectsService } from '../projects/projects.service.js';
import type { AttributesRow } from '../registry/entities.js';
import { LoadCache } from '../registry/load-cache.js';
import type { Registry } from '../registry/registry.js';
import { covers, priorityOf, resourceTypes, type Kind, type Target, type TargetOf } from './attribute-kinds.js';
import { requireAttributes } from './attribute-validation.js';
import type { AttributeScope, AttributesRepository } from './attributes.repository.js';
import { configuredAttributes, type ConfiguredAttributes } from './configured-attributes.js';

/** Rows decoded once, most specific first. */
interface DecodedRow {
  resourceType: MatchableResource;
  scope: AttributeScope;
  target: Target;
}

/** Settings per project, domain, workflow or launch plan (A-90…A-94). */
export class AttributesService {
  private readonly rows: LoadCache<DecodedRow[]>;
  private readonly configured: readonly ConfiguredAttributes[];

  constructor(
    private readonly registry: Registry,
    private readonly attributes: AttributesRepository,
    private readonly projects: ProjectsService,
    private readonly config: AdminConfig,
    private readonly policy: Policy,
  ) {
    this.rows = new LoadCache({ max: 1_000, ttlMs: config.caches.settingsTtlMs });
    this.configured = configuredAttributes(config.defaults);
  }

  async update(scope: AttributeScope, matching: MatchingAttributes | undefined): Promise<void> {
    await this.requireScope(scope);
    const target = matching?.target;
    if (!target)
      throw invalidArgument(
        `attributes.matching_attributes: missing; set one of ${Object.keys(resourceTypes).map(snake).join(', ')}`,
      );
    requireAttributes(target, MatchingAttributes.encode({ target }).finish(), this.config.limits.labels);
    const resourceType = resourceTypes[target.$case];
    await this.registry.transaction(async (manager) => {
      const merged =
        target.$case === 'pluginOverrides'
          ? mergeOverrides(await this.attributes.find(manager, resourceType, scope), target.value.overrides)
          : target;
      await this.attributes.upsert(manager, {
        ...scope,
        resourceType,
        priority: priorityOf(scope),
        attributes: Buffer.from(MatchingAttributes.encode({ target: merged }).finish()),
      });
    });
    this.rows.clear();
  }

  /** The row that applies; NOT_FOUND if none does. */
  async get(scope: AttributeScope, resourceType: MatchableResource): Promise<MatchingAttributes> {
    requireType(resourceType);
    await this.requireScope(scope);
    const target = (await this.matching(scope, resourceType))[0];
    if (!target)
      throw notFound(
        `no ${MatchableResource[resourceType]} attributes are set for ${describeScope(scope)} or above it`,
      );
    return { target };
  }

  /** filled up with the server's defaults, and answered with them when nothing is stored. */
  async getOfProject(org: string, project: string, resourceType: MatchableResource): Promise<MatchingAttributes> {
    const scope = { org, project, domain: '', workflow: '', launchPlan: '' };
    if (resourceType !== MatchableResource.WORKFLOW_EXECUTION_CONFIG) return this.get(scope, resourceType);
    await this.requireScope(scope);
    const [stored] = await this.levels('workflowExecutionConfig', scope);
    return { target: { $case: 'workflowExecutionConfig', value: fillDefaults(stored, this.config) } };
  }

  async delete(scope: AttributeScope, resourceType: MatchableResource): Promise<void> {
    requireType(resourceType);
    await this.requireScope(scope);
    const found = await this.attributes.delete(this.registry.read, resourceType, scope);
    this.rows.clear();
    if (!found) throw notFound(`no ${MatchableResource[resourceType]} attributes are set for ${describeScope(scope)}`);
  }

  async list(org: string, resourceType: MatchableResource): Promise<MatchableAttributesConfiguration[]> {
    requireType(resourceType);
    const rows = await this.attributes.list(this.registry.read, org, resourceType);
    const principal = currentCall()?.principal ?? anonymous;
    const visible = await Promise.all(
      rows.map((row) =>
        this.policy.allows(principal, 'attributes/list', { org, project: row.project, domain: row.domain }),
      ),
    );
    return rows
      .filter((_row, i) => visible[i])
      .map(({ org, project, domain, workflow, launchPlan, attributes }) => ({
        attributes: MatchingAttributes.decode(attributes),
        org,
        project,
        domain,
        workflow,
        launchPlan,
      }));
  }

  /** The stored attributes of one kind that apply, most specific first. */
  async stored<K extends Kind>(kind: K, scope: AttributeScope): Promise<TargetOf<K>[]> {
    return ofKind(kind, await this.matching(scope, resourceTypes[kind]));
  }

  /** What applies of one kind, first wins: the most specific stored row, then the configuration's defaults (S-20). */
  async levels<K extends Kind>(kind: K, scope: AttributeScope): Promise<TargetOf<K>[]> {
    const [mostSpecific] = await this.stored(kind, scope);
    return [...(mostSpecific === undefined ? [] : [mostSpecific]), ...this.defaults(kind, scope)];
  }

  /** The configuration's defaults (S-20), most specific first. */
  defaults<K extends Kind>(kind: K, scope: AttributeScope): TargetOf<K>[] {
    const applying = this.configured.filter((each) => covers(each.scope, scope));
    return ofKind(
      kind,
      applying.map(({ target }) => target),
    );
  }

  /** The rows of the project, decoded: the same list until they are read anew, so that what follows from them can be kept beside it. */
  rowsOf({ org, project }: AttributeScope): Promise<readonly DecodedRow[] | undefined> {
    return this.rows.get(`${org}\n${project}`, async () =>
      (await this.attributes.ofProject(this.registry.read, org, project)).flatMap(decode),
    );
  }

  private async matching(scope: AttributeScope, resourceType: MatchableResource): Promise<Target[]> {
    const rows = (await this.rowsOf(scope)) ?? [];
    return rows.filter((row) => row.resourceType === resourceType && covers(row.scope, scope)).map((row) => row.target);
  }

  /** archived projects have attributes too. */
  private async requireScope(scope: AttributeScope): Promise<void> {
    if (scope.project === '' && scope.domain === '')
      throw invalidArgument('attributes: project and domain are both missing; at least one must be given');
    if (scope.project !== '') await this.projects.requireKnown(scope.org, scope.project, 'attributes.project');
    if (scope.domain !== '') this.projects.requireDomain(scope.domain, 'attributes.domain');
    if (scope.workflow !== '' && scope.project === '')
      throw invalidArgument('attributes.project: missing; attributes of a workflow need its project');
    if (scope.launchPlan !== '' && scope.workflow === '')
      throw invalidArgument('attributes.workflow: missing; attributes of a launch plan need its workflow');
  }
}

function ofKind<K extends Kind>(kind: K, targets: readonly Target[]): TargetOf<K>[] {
  return targets.flatMap((target) => (target.$case === kind ? [target.value as TargetOf<K>] : []));
}

function requireType(resourceType: MatchableResource): void {
  if (!Object.values(resourceTypes).includes(resourceType))
    throw invalidArgument(
      `resource_type: ${resourceType} is none; use one of ${Object.values(resourceTypes)
        .map((type) => MatchableResource[type])
        .join(', ')}`,
    );
}

function decode(row: AttributesRow): DecodedRow[] {
  const { target } = MatchingAttributes.decode(row.attributes);
  const { org, project, domain, workflow, launchPlan, resourceType } = row;
  return target ? [{ resourceType, scope: { org, project, domain, workflow, launchPlan }, target }] : [];
}

function mergeOverrides(stored: AttributesRow | null, changes: PluginOverride[]): Target {
  const target = stored && MatchingAttributes.decode(stored.attributes).target;
  const old = target?.$case === 'pluginOverrides' ? target.value.overrides : [];
  const byType = new Map([...old, ...changes].map((override) => [override.taskType, override]));
  return { $case: 'pluginOverrides', value: { overrides: [...byType.values()] } };
}

/** What the server sets where nobody else does. */
export function fillDefaults(
  stored: WorkflowExecutionConfig | undefined,
  config: AdminConfig,
): WorkflowExecutionConfig {
  const { maxParallelism, rawOutputPrefix, serviceAccount, role } = config.executions;
  const identity = { iamRole: role, k8sServiceAccount: serviceAccount, oauth2Client: undefined, executionIdentity: '' };
  return {
    labels: undefined,
    annotations: undefined,
    interruptible: undefined,
    overwriteCache: false,
    envs: undefined,
    executionEnvAssignments: [],
    ...stored,
    maxParallelism: stored?.maxParallelism || maxParallelism,
    securityContext:
      stored?.securityContext ??
      (serviceAccount === '' && role === '' ? undefined : { runAs: identity, secrets: [], tokens: [] }),
    rawOutputDataConfig:
      stored?.rawOutputDataConfig ?? (rawOutputPrefix === '' ? undefined : { outputLocationPrefix: rawOutputPrefix }),
  };
}

function describeScope(scope: AttributeScope): string {
  return [scope.project, scope.domain, scope.workflow, scope.launchPlan].filter((part) => part !== '').join('/');
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
