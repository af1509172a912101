import { notFound } from '@aloft/errors';
import { NamedEntityState } from '@aloft/idl/flyteidl/admin/common';
import { LaunchPlanSpec, LaunchPlanState } from '@aloft/idl/flyteidl/admin/launch_plan';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { ParameterMap, VariableMap } from '@aloft/idl/flyteidl/core/interface';
import { expectedInputsOf } from '@aloft/literals';
import type { LaunchPlansService, RegisteredLaunchPlan } from '../launch-plans/launch-plans.service.js';
import { canonicalBytes, sha256 } from '../registry/canonical.js';
import { describeKey, requireIdentifier, type EntityKey } from '../registry/identifiers.js';
import type { TasksService } from '../tasks/tasks.service.js';
import type { RegisteredWorkflow, WorkflowsService } from '../workflows/workflows.service.js';
import type { LaunchTarget } from './execution-validation.js';
import { generatedKey, generatedPlan, generatedWorkflow } from './single-task.js';

/** What a launch runs: everything in it is immutable. */
export interface ResolvedLaunch {
  plan: RegisteredLaunchPlan;
  workflow: RegisteredWorkflow;
  /** Set when a single task is launched. */
  task: EntityKey | undefined;
}

/** Finds what a launch names; makes workflow and launch plan of a single task once. */
export class LaunchResolver {
  constructor(
    private readonly tasks: TasksService,
    private readonly workflows: WorkflowsService,
    private readonly plans: LaunchPlansService,
  ) {}

  async resolve(target: LaunchTarget): Promise<ResolvedLaunch> {
    if (target.type === ResourceType.TASK) return this.resolveTask(target.key);
    const plan = await this.plans.find(target.key);
    if (!plan)
      throw notFound(`spec.launch_plan: there is no launch plan ${describeKey(target.key)}; register it first`);
    return { plan, workflow: await this.workflowOf(plan), task: undefined };
  }

  private async resolveTask(key: EntityKey): Promise<ResolvedLaunch> {
    const generated = generatedKey(key);
    const plan = (await this.plans.find(generated)) ?? (await this.generate(key, generated));
    return { plan, workflow: await this.workflowOf(plan), task: key };
  }

  private async generate(key: EntityKey, generated: EntityKey): Promise<RegisteredLaunchPlan> {
    const template = (await this.tasks.find(key))?.compiled.template;
    if (!template) throw notFound(`spec.launch_plan: there is no task ${describeKey(key)}; register it first`);
    const hidden = NamedEntityState.SYSTEM_GENERATED;
    await this.workflows.ensureGenerated(generated, generatedWorkflow(key, template), hidden);
    const expected = expectedInputsOf(template.interface?.inputs, { defaults: undefined, fixed: undefined });
    const spec = { ...generatedPlan(key), defaultInputs: expected };
    const bytes = canonicalBytes(LaunchPlanSpec, spec);
    await this.plans.ensureGenerated(
      {
        ...generated,
        workflowProject: generated.project,
        workflowDomain: generated.domain,
        workflowName: generated.name,
        workflowVersion: generated.version,
        digest: sha256(bytes),
        original: bytes,
        spec: bytes,
        expectedInputs: canonicalBytes(ParameterMap, expected),
        expectedOutputs: canonicalBytes(VariableMap, template.interface?.outputs ?? { variables: {} }),
        state: LaunchPlanState.INACTIVE,
        scheduleType: 'NONE',
        shortDescription: '',
      },
      hidden,
    );
    const plan = await this.plans.find(generated);
    if (!plan) throw notFound(`launch plan ${describeKey(generated)} was just made and is gone`);
    return plan;
  }

  private async workflowOf(plan: RegisteredLaunchPlan): Promise<RegisteredWorkflow> {
    const key = requireIdentifier(plan.spec.workflowId, ResourceType.WORKFLOW, 'spec.workflow_id');
    const workflow = await this.workflows.find(key);
    if (!workflow)
      throw notFound(`launch plan ${describeKey(plan.key)} names workflow ${describeKey(key)}, which is gone`);
    return workflow;
  }
}
