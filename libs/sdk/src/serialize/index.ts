import type { LaunchPlanSpec } from '@aloft/idl/flyteidl/admin/launch_plan';
import { TaskSpec } from '@aloft/idl/flyteidl/admin/task';
import { WorkflowSpec } from '@aloft/idl/flyteidl/admin/workflow';
import { DynamicJobSpec } from '@aloft/idl/flyteidl/core/dynamic_job';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { definitionOf, entityBrand, type Entity, type LaunchPlan, type Task, type Workflow } from '../entities.js';
import { DefinitionError } from '../errors.js';
import { entitiesOf, type Graph } from '../graph/node.js';
import { nameOf } from '../registry.js';
import { identifierOf, type SerializeContext } from './context.js';
import { bindings, directSubWorkflows, nodeMessage, subWorkflows, workflowTemplate } from './graph.js';
import { defaultLaunchPlan, launchPlanSpec } from './launch-plan.js';
import { taskTemplate } from './task.js';

export type { SerializeContext } from './context.js';

/** Everything to register, in the order that registration needs: tasks, then workflows innermost first, then launch plans. */
export interface Serialized {
  tasks: { id: Identifier; spec: TaskSpec }[];
  workflows: { id: Identifier; spec: WorkflowSpec }[];
  launchPlans: { id: Identifier; spec: LaunchPlanSpec; hasSchedule: boolean }[];
}

/** Serialises entities and all that they refer to. The same definitions always give the same messages. */
export async function serialize(entities: Iterable<Entity>, context: SerializeContext): Promise<Serialized> {
  const tasks = new Map<string, TaskTemplate>();
  const workflows = new Set<Workflow>();
  const plans = new Set<LaunchPlan>();
  const named = new Map<string, Entity>();
  const visit = (entity: Entity): void => {
    const definition = definitionOf(entity)!;
    if (definition.reference) return;
    const key = `${definition.kind} ${nameOf(entity)}`;
    if ((named.get(key) ?? entity) !== entity)
      throw new DefinitionError(`Two different entities are called ${key}: names must differ within a registration.`);
    named.set(key, entity);
    if (definition.kind === 'task') {
      addTask(tasks, taskTemplate(entity as Task, context));
    } else if (definition.kind === 'launch-plan') {
      if (plans.has(entity as LaunchPlan)) return;
      if (definition.workflow) visit(definition.workflow);
      plans.add(entity as LaunchPlan);
    } else if (!workflows.has(entity as Workflow)) {
      const graph = definition.graph();
      for (const inner of entitiesOf(graph)) visit(inner);
      workflows.add(entity as Workflow);
    }
  };
  for (const entity of entities) visit(entity);
  return {
    tasks: [...tasks.values()].map((template) => ({ id: template.id!, spec: TaskSpec.fromPartial({ template }) })),
    workflows: await Promise.all(
      [...workflows].map(async (workflow) => ({
        id: identifierOf(workflow, context),
        spec: WorkflowSpec.fromPartial({
          template: await workflowTemplate(workflow, context),
          subWorkflows: await Promise.all(subWorkflows(workflow).map((inner) => workflowTemplate(inner, context))),
          description: workflow[entityBrand].description
            ? { shortDescription: workflow[entityBrand].description }
            : undefined,
        }),
      })),
    ),
    launchPlans: [
      ...(await Promise.all(
        [...workflows].map(async (workflow) => ({
          ...(await defaultLaunchPlan(workflow, context)),
          hasSchedule: false,
        })),
      )),
      ...(await Promise.all(
        [...plans].map(async (plan) => ({
          id: identifierOf(plan, context),
          spec: await launchPlanSpec(plan, context),
          hasSchedule: plan[entityBrand].schedule !== undefined,
        })),
      )),
    ],
  };
}

/** What a dynamic task leaves as futures.pb: its graph with the templates of all that it runs (C-150). */
export async function serializeDynamic(graph: Graph, context: SerializeContext): Promise<DynamicJobSpec> {
  const direct = directSubWorkflows(graph.nodes);
  const inline = [...new Set([...direct, ...direct.flatMap(subWorkflows)])];
  const tasks = new Map<string, TaskTemplate>();
  for (const part of [graph, ...inline.map((workflow) => workflow[entityBrand].graph())]) {
    for (const entity of entitiesOf(part)) {
      const definition = definitionOf(entity)!;
      if (definition.kind === 'task' && !definition.reference) addTask(tasks, taskTemplate(entity as Task, context));
    }
  }
  return DynamicJobSpec.fromPartial({
    nodes: await Promise.all(graph.nodes.map((node) => nodeMessage(node, context))),
    minSuccesses: BigInt(graph.nodes.length),
    outputs: await bindings(graph.outputs, context),
    tasks: [...tasks.values()],
    subworkflows: await Promise.all(inline.map((workflow) => workflowTemplate(workflow, context))),
  });
}

function addTask(tasks: Map<string, TaskTemplate>, template: TaskTemplate): void {
  tasks.set(template.id!.name, template);
}
