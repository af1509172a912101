import { LaunchPlanSpec } from '@aloft/idl/flyteidl/admin/launch_plan';
import { TaskSpec } from '@aloft/idl/flyteidl/admin/task';
import { WorkflowSpec } from '@aloft/idl/flyteidl/admin/workflow';
import { type Identifier, ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { TypedInterface } from '@aloft/idl/flyteidl/core/interface';
import { LiteralMap, type Literal } from '@aloft/idl/flyteidl/core/literals';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { literalOf, typeOf } from '@aloft/literals';
import type { Platform } from './platform.js';

export const project = 'flytesnacks';
export const domain = 'development';

export function idOf(resourceType: ResourceType, name: string, version = 'v1'): Identifier {
  return { resourceType, project, domain, name, version, org: '' };
}

type Types = Record<string, LiteralType>;

export function typed(inputs: Types = {}, outputs: Types = {}): TypedInterface {
  const variables = (types: Types) =>
    Object.fromEntries(Object.entries(types).map(([name, type]) => [name, { type, description: '' }]));
  return TypedInterface.fromPartial({
    inputs: { variables: variables(inputs) },
    outputs: { variables: variables(outputs) },
  });
}

/** A Python task `(x: int) -> o0: int` unless said otherwise. */
export function taskSpec(partial: Parameters<typeof TaskSpec.fromPartial>[0]['template'] = {}): TaskSpec {
  return TaskSpec.fromPartial({
    template: {
      type: 'python-task',
      metadata: { runtime: { version: '1.16.0' }, retries: { retries: 2 } },
      interface: typed({ x: typeOf.integer() }, { o0: typeOf.integer() }),
      target: { $case: 'container', value: { image: 'image:1', args: ['pyflyte-execute'] } },
      ...partial,
    },
    description: { shortDescription: 'adds one' },
  });
}

const promise = (variable: string, nodeId: string, name: string) => ({
  var: variable,
  binding: { value: { $case: 'promise' as const, value: { nodeId, var: name } } },
});

/** A chain of that task: `(x: int) -> o0: int`. */
export function chainSpec(task: string, length = 1, types?: TypedInterface): WorkflowSpec {
  const nodes = Array.from({ length }, (_, i) => ({
    id: `n${i}`,
    metadata: { name: task },
    inputs: [i === 0 ? promise('x', 'start-node', 'x') : promise('x', `n${i - 1}`, 'o0')],
    target: {
      $case: 'taskNode' as const,
      value: { reference: { $case: 'referenceId' as const, value: idOf(ResourceType.TASK, task) } },
    },
  }));
  return WorkflowSpec.fromPartial({
    template: {
      metadata: {},
      metadataDefaults: {},
      interface: types ?? typed({ x: typeOf.integer() }, { o0: typeOf.integer() }),
      nodes,
      outputs: [promise('o0', `n${length - 1}`, 'o0')],
    },
    description: { shortDescription: 'a chain', longDescription: { content: { $case: 'value', value: 'long' } } },
  });
}

export function planSpec(workflow: string, partial: object = {}): LaunchPlanSpec {
  return LaunchPlanSpec.fromPartial({ workflowId: idOf(ResourceType.WORKFLOW, workflow), ...partial });
}

export function literals(values: Record<string, Literal>): LiteralMap {
  return LiteralMap.fromPartial({ literals: values });
}

/** Registers task, chain of it and launch plan, all under one name. */
export async function register(platform: Platform, name: string, plan: object = {}, length = 1): Promise<Identifier> {
  const { admin } = platform;
  await admin.createTask({ id: idOf(ResourceType.TASK, name), spec: taskSpec() });
  await admin.createWorkflow({ id: idOf(ResourceType.WORKFLOW, name), spec: chainSpec(name, length) });
  const id = idOf(ResourceType.LAUNCH_PLAN, name);
  await admin.createLaunchPlan({ id, spec: planSpec(name, plan) });
  return id;
}

export const x = (value: number): LiteralMap => literals({ x: literalOf.integer(BigInt(value)) });
