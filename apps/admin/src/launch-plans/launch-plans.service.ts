import type { Bus } from '@aloft/bus';
import { alreadyExists, invalidArgument, notFound } from '@aloft/errors';
import { RegistryEvent_Change } from '@aloft/idl/aloft/v1/bus';
import type { NamedEntityIdentifier, ResourceListRequest } from '@aloft/idl/flyteidl/admin/common';
import {
  LaunchPlanSpec,
  LaunchPlanState,
  type ActiveLaunchPlanListRequest,
  type LaunchPlan,
  type LaunchPlanCreateRequest,
  type LaunchPlanList,
  type LaunchPlanUpdateRequest,
} from '@aloft/idl/flyteidl/admin/launch_plan';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { ParameterMap, VariableMap } from '@aloft/idl/flyteidl/core/interface';
import { expectedInputsOf } from '@aloft/literals';
import type { Encoded } from '@aloft/rpc';
import type { AdminConfig } from '../config.js';
import type { ProjectsService } from '../projects/projects.service.js';
import { canonicalBytes, sha256 } from '../registry/canonical.js';
import { describeDifference } from '../registry/diff.js';
import type { LaunchPlanRow } from '../registry/entities.js';
import {
  describeKey,
  identifierOf,
  keyText,
  requireIdentifier,
  requireName,
  requireScope,
  type EntityKey,
} from '../registry/identifiers.js';
import { registryMessage } from '../registry/registry-events.js';
import { LoadCache } from '../registry/load-cache.js';
import type { RegistrationWriter } from '../registry/registration-writer.js';
import type { Registry } from '../registry/registry.js';
import type { New } from '../registry/versioned.repository.js';
import { timestampOf } from '../time.js';
import type { WorkflowsService } from '../workflows/workflows.service.js';
import { encodeLaunchPlanList } from './encode-launch-plans.js';
import { requireLaunchPlanSpec } from './launch-plan-validation.js';
import type { LaunchPlansRepository } from './launch-plans.repository.js';
import { requireSchedule } from './schedules.js';

/** What launches need of a launch plan: immutable, unlike its state. */
export interface RegisteredLaunchPlan {
  key: EntityKey;
  spec: LaunchPlanSpec;
  expectedInputs: ParameterMap;
  expectedOutputs: VariableMap;
}

/** Registration, activation and reading of launch plans (A-30…A-37). */
export class LaunchPlansService {
  private readonly cache: LoadCache<RegisteredLaunchPlan>;

  constructor(
    private readonly registry: Registry,
    private readonly plans: LaunchPlansRepository,
    private readonly writer: RegistrationWriter,
    private readonly workflows: WorkflowsService,
    private readonly projects: ProjectsService,
    private readonly bus: Bus,
    private readonly config: AdminConfig,
  ) {
    this.cache = new LoadCache({ max: config.caches.registryEntries });
  }

  /** `originalSpec`: the LaunchPlanSpec as it was sent. */
  async create({ id, spec: sent }: LaunchPlanCreateRequest, originalSpec: Buffer): Promise<void> {
    const key = requireIdentifier(id, ResourceType.LAUNCH_PLAN);
    await this.projects.requireActive(key.org, key.project, key.domain);
    const spec = requireLaunchPlanSpec(sent, this.config.limits.labels);
    const workflowKey = requireIdentifier(spec.workflowId, ResourceType.WORKFLOW, 'spec.workflow_id');
    const workflow = await this.workflows.find(workflowKey);
    if (!workflow)
      throw notFound(`spec.workflow_id: there is no workflow ${describeKey(workflowKey)}; register it first`);
    const expected = expectedInputsOf(workflow.interface.inputs, {
      defaults: spec.defaultInputs,
      fixed: spec.fixedInputs,
    });
    const scheduleType = requireSchedule(spec.entityMetadata?.schedule, expected);
    // Before hashing, so that two requests that merge alike are identical.
    const merged: LaunchPlanSpec = { ...spec, defaultInputs: expected };
    const bytes = canonicalBytes(LaunchPlanSpec, merged);
    const digest = sha256(bytes);
    const inserted = await this.writer.register({
      versions: this.plans,
      row: {
        ...key,
        workflowProject: workflowKey.project,
        workflowDomain: workflowKey.domain,
        workflowName: workflowKey.name,
        workflowVersion: workflowKey.version,
        digest,
        original: originalSpec,
        spec: bytes,
        expectedInputs: canonicalBytes(ParameterMap, expected),
        expectedOutputs: canonicalBytes(VariableMap, workflow.interface.outputs ?? { variables: {} }),
        state: LaunchPlanState.INACTIVE,
        scheduleType,
        shortDescription: '',
      },
      name: { ...key, resourceType: ResourceType.LAUNCH_PLAN, state: 0 },
      message: registryMessage(identifierOf(key, ResourceType.LAUNCH_PLAN), RegistryEvent_Change.REGISTERED),
    });
    if (!inserted) await this.refuseRepeat(key, merged, digest);
  }

  /** A launch plan that the server makes; harmless if it exists already. */
  async ensureGenerated(row: New<LaunchPlanRow>, nameState: number): Promise<void> {
    const { org, project, domain, name } = row;
    const resourceType = ResourceType.LAUNCH_PLAN;
    await this.writer.register({
      versions: this.plans,
      row,
      name: { org, project, domain, name, resourceType, state: nameState },
    });
  }

  /** at most one active version a name, changed in one transaction. */
  async update({ id, state }: LaunchPlanUpdateRequest): Promise<void> {
    const key = requireIdentifier(id, ResourceType.LAUNCH_PLAN);
    if (state !== LaunchPlanState.ACTIVE && state !== LaunchPlanState.INACTIVE)
      throw invalidArgument(`state: ${state} is unknown; use ACTIVE or INACTIVE`);
    const identifier = identifierOf(key, ResourceType.LAUNCH_PLAN);
    await this.registry.transaction(async (manager, tx) => {
      const row = await this.plans.find(manager, key);
      if (!row) throw notFound(`there is no launch plan ${describeKey(key)}`);
      if (state === LaunchPlanState.ACTIVE) {
        const former = await this.plans.activate(manager, key);
        await this.bus.publish(tx, [
          ...(former
            ? [registryMessage(identifierOf(former, ResourceType.LAUNCH_PLAN), RegistryEvent_Change.DEACTIVATED)]
            : []),
          registryMessage(identifier, RegistryEvent_Change.ACTIVATED),
        ]);
      } else {
        await this.plans.setState(manager, key, LaunchPlanState.INACTIVE);
        await this.bus.publish(tx, [registryMessage(identifier, RegistryEvent_Change.DEACTIVATED)]);
      }
    });
  }

  async get(id: Identifier | undefined): Promise<LaunchPlan> {
    const key = requireIdentifier(id, ResourceType.LAUNCH_PLAN);
    const row = await this.plans.find(this.registry.read, key);
    if (!row) throw notFound(`there is no launch plan ${describeKey(key)}`);
    return toLaunchPlan(row);
  }

  /** For launches; cached, since only the state of a plan ever changes. */
  find(key: EntityKey): Promise<RegisteredLaunchPlan | undefined> {
    return this.cache.get(keyText(key), async () => {
      const row = await this.plans.find(this.registry.read, key);
      if (!row) return undefined;
      return {
        key,
        spec: LaunchPlanSpec.decode(row.spec),
        expectedInputs: ParameterMap.decode(row.expectedInputs),
        expectedOutputs: VariableMap.decode(row.expectedOutputs),
      };
    });
  }

  async getActive(id: NamedEntityIdentifier | undefined): Promise<LaunchPlan> {
    const key = requireName(id);
    const row = await this.plans.findActive(this.registry.read, key);
    if (!row)
      throw notFound(`no version of launch plan ${describeKey(key)} is active; activate one with UpdateLaunchPlan`);
    return toLaunchPlan(row);
  }

  list(request: ResourceListRequest): Promise<Encoded<LaunchPlanList>> {
    return this.listWhere(requireScope(request.id), request, []);
  }

  listActive(request: ActiveLaunchPlanListRequest): Promise<Encoded<LaunchPlanList>> {
    const scope = requireScope({ ...request, name: '' }, 'request');
    return this.listWhere(scope, { ...request, filters: '' }, ['l.state = 1']);
  }

  private async listWhere(
    scope: ReturnType<typeof requireScope>,
    request: Parameters<LaunchPlansRepository['list']>[2],
    conditions: string[],
  ): Promise<Encoded<LaunchPlanList>> {
    const { rows, token } = await this.plans.list(
      this.registry.sql,
      scope,
      request,
      this.config.limits.listMs,
      conditions,
    );
    const plans = rows.map((row) => ({
      ...scope,
      name: row.name as string,
      version: row.version as string,
      spec: row.spec as Buffer,
      state: row.state as number,
      expectedInputs: row.expected_inputs as Buffer,
      expectedOutputs: row.expected_outputs as Buffer,
      createdAt: row.created_at as Date,
      updatedAt: row.updated_at as Date,
    }));
    return encodeLaunchPlanList(plans, token);
  }

  private async refuseRepeat(key: EntityKey, spec: LaunchPlanSpec, digest: Buffer): Promise<never> {
    const row = await this.plans.find(this.registry.read, key);
    if (!row || row.digest.equals(digest))
      throw alreadyExists(`launch plan ${describeKey(key)} with identical structure exists already`);
    throw invalidArgument(
      `launch plan ${describeKey(key)} with different structure exists already; register the change under a new version. ` +
        `What differs (registered → sent):\n${describeDifference(LaunchPlanSpec.decode(row.spec), spec)}`,
    );
  }
}

function toLaunchPlan(row: LaunchPlanRow): LaunchPlan {
  const { org, project, domain, name, version } = row;
  return {
    id: identifierOf({ org, project, domain, name, version }, ResourceType.LAUNCH_PLAN),
    spec: LaunchPlanSpec.decode(row.spec),
    closure: {
      state: row.state,
      expectedInputs: ParameterMap.decode(row.expectedInputs),
      expectedOutputs: VariableMap.decode(row.expectedOutputs),
      createdAt: timestampOf(row.createdAt),
      updatedAt: timestampOf(row.updatedAt),
    },
  };
}
