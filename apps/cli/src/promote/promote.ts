import { toAloftError } from '@aloft/errors';
import type { DescriptionEntity } from '@aloft/idl/flyteidl/admin/description_entity';
import { LaunchPlanState } from '@aloft/idl/flyteidl/admin/launch_plan';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Connection } from '../connection.js';
import { launchPlansOf, specOfClosure, type Move } from './spec-of-closure.js';

export interface Place {
  project: string;
  domain: string;
}

/** `existed`: the same was there under that version. */
export interface Promoted {
  kind: 'task' | 'workflow' | 'launch plan';
  id: Identifier;
  existed: boolean;
}

/**
 * Registers a launch plan's version in another domain or project as it is: its workflow, the tasks and launch plans that this uses, under the same names and
 * versions, with the same images (S-20). What belongs to other projects and domains is referred to where it is. Idempotent.
 */
export class Promotion {
  readonly done: Promoted[] = [];
  private readonly move: Move;
  /** Launch plans that were seen: one may start another of its kind. */
  private readonly plans = new Set<string>();

  constructor(
    private readonly admin: Connection['admin'],
    from: Place,
    to: Place,
  ) {
    this.move = (id) => (id.project === from.project && id.domain === from.domain ? { ...id, ...to } : id);
  }

  /** Resolves to where it is now. */
  async launchPlan(id: Identifier, activate: boolean): Promise<Identifier> {
    await this.plan(id);
    const target = this.move(id);
    if (activate) await this.admin.updateLaunchPlan({ id: target, state: LaunchPlanState.ACTIVE });
    return target;
  }

  private async plan(id: Identifier): Promise<void> {
    if (this.move(id) === id || this.plans.has(keyOf(id))) return;
    this.plans.add(keyOf(id));
    const { spec } = await this.admin.getLaunchPlan({ id });
    const workflowId = spec?.workflowId;
    if (!workflowId) throw new TypeError(`launch plan ${id.name} has no workflow`);
    await this.workflow(workflowId);
    const target = this.move(id);
    const moved = { ...spec, workflowId: this.move(workflowId) };
    await this.register('launch plan', target, this.admin.createLaunchPlan({ id: target, spec: moved }));
  }

  private async workflow(id: Identifier): Promise<void> {
    const target = this.move(id);
    if (target === id) return;
    const closure = (await this.admin.getWorkflow({ id })).closure?.compiledWorkflow;
    if (!closure) throw new TypeError(`workflow ${id.name} has no closure`);
    for (const plan of launchPlansOf(closure)) await this.plan(plan);
    for (const { template } of closure.tasks) if (template?.id) await this.task(template.id);
    const { template, subWorkflows } = specOfClosure(closure, this.move);
    const description = await this.descriptionOf({ ...id, resourceType: ResourceType.WORKFLOW });
    const created = this.admin.createWorkflow({ id: target, spec: { template, subWorkflows, description } });
    await this.register('workflow', target, created);
  }

  private async task(id: Identifier): Promise<void> {
    const target = this.move(id);
    if (target === id) return;
    const template = (await this.admin.getTask({ id })).closure?.compiledTask?.template;
    const description = await this.descriptionOf({ ...id, resourceType: ResourceType.TASK });
    const spec = { template: template && { ...template, id: target }, description };
    await this.register('task', target, this.admin.createTask({ id: target, spec }));
  }

  private async register(kind: Promoted['kind'], id: Identifier, created: Promise<unknown>): Promise<void> {
    let existed = false;
    try {
      await created;
    } catch (error) {
      if (toAloftError(error).code !== 'ALREADY_EXISTS') throw error;
      existed = true;
    }
    this.done.push({ kind, id, existed });
  }

  private async descriptionOf(id: Identifier): Promise<DescriptionEntity | undefined> {
    try {
      const found = await this.admin.getDescriptionEntity({ id });
      return { ...found, id: undefined };
    } catch (error) {
      if (toAloftError(error).code !== 'NOT_FOUND') throw error;
      return undefined;
    }
  }
}

const keyOf = ({ project, domain, name, version }: Identifier): string =>
  JSON.stringify([project, domain, name, version]);
