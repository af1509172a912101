import { LaunchPlanSpec } from '@aloft/idl/flyteidl/admin/launch_plan';
import { TaskSpec } from '@aloft/idl/flyteidl/admin/task';
import { WorkflowSpec } from '@aloft/idl/flyteidl/admin/workflow';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { TypedInterface } from '@aloft/idl/flyteidl/core/interface';
import type { Node } from '@aloft/idl/flyteidl/core/workflow';
import { typeOf } from '@aloft/literals';
import type { Services } from './services.js';

export const project = 'flytesnacks';
export const domain = 'development';
type PartialNode = Parameters<typeof Node.fromPartial>[0];

export const idOf = (resourceType: ResourceType, name: string, version = 'v1'): Identifier => ({
  resourceType,
  project,
  domain,
  name,
  version,
  org: '',
});

const variables = (names: readonly string[]) => ({
  variables: Object.fromEntries(names.map((name) => [name, { type: typeOf.integer(), description: '' }])),
});
const integers = (inputs: string[], outputs: string[]) =>
  TypedInterface.fromPartial({ inputs: variables(inputs), outputs: variables(outputs) });

const promise = (variable: string, nodeId: string, output: string) => ({
  var: variable,
  binding: { value: { $case: 'promise' as const, value: { nodeId, var: output } } },
});

/** Where a node's input x comes from: the workflow's, or an earlier node's output. */
const inputFrom = (source: string | undefined) =>
  promise('x', source ?? 'start-node', source === undefined ? 'x' : 'o0');

export const taskNode = (id: string, task: string, source?: string, after: string[] = []): PartialNode => ({
  id,
  metadata: { name: task },
  inputs: [inputFrom(source)],
  upstreamNodeIds: after,
  target: {
    $case: 'taskNode',
    value: { reference: { $case: 'referenceId', value: idOf(ResourceType.TASK, task) } },
  },
});

export const subNode = (id: string, workflow: string, source?: string): PartialNode => ({
  id,
  metadata: { name: workflow },
  inputs: [inputFrom(source)],
  target: {
    $case: 'workflowNode',
    value: { reference: { $case: 'subWorkflowRef', value: idOf(ResourceType.WORKFLOW, workflow) } },
  },
});

export const childNode = (id: string, plan: string, source?: string): PartialNode => ({
  id,
  metadata: { name: plan },
  inputs: [inputFrom(source)],
  target: {
    $case: 'workflowNode',
    value: { reference: { $case: 'launchplanRef', value: idOf(ResourceType.LAUNCH_PLAN, plan) } },
  },
});

export const approveNode = (id: string, signalId: string, after: string[] = []): PartialNode => ({
  id,
  metadata: { name: id },
  upstreamNodeIds: after,
  target: { $case: 'gateNode', value: { condition: { $case: 'approve', value: { signalId } } } },
});

export const sleepNode = (id: string, milliseconds: number, after: string[] = []): PartialNode => ({
  id,
  metadata: { name: id },
  upstreamNodeIds: after,
  target: {
    $case: 'gateNode',
    value: {
      condition: {
        $case: 'sleep',
        value: { duration: { seconds: BigInt(Math.floor(milliseconds / 1000)), nanos: (milliseconds % 1000) * 1e6 } },
      },
    },
  },
});

export interface TaskOptions {
  retries?: number;
  /** With a reservation while it is computed. */
  cached?: boolean;
}

/** A task `(x: int) -> o0: int`. */
export async function registerTask({ admin }: Services, name: string, options: TaskOptions = {}): Promise<void> {
  const { retries = 0, cached = false } = options;
  const spec = TaskSpec.fromPartial({
    template: {
      type: 'python-task',
      metadata: {
        runtime: { version: '1.16.0' },
        retries: { retries },
        discoverable: cached,
        cacheSerializable: cached,
        discoveryVersion: cached ? '1' : '',
      },
      interface: integers(['x'], ['o0']),
      target: { $case: 'container', value: { image: 'image:1', args: ['pyflyte-execute'] } },
    },
  });
  await admin.createTask({ id: idOf(ResourceType.TASK, name), spec });
}

export interface WorkflowOptions {
  /** Node whose output is the workflow's. */
  output: string;
  subs?: Record<string, { nodes: PartialNode[]; output: string }>;
  failAfterExecutable?: boolean;
}

/** A workflow `(x: int) -> o0: int` and its launch plan of the same name. */
export async function registerWorkflow(
  { admin }: Services,
  name: string,
  nodes: PartialNode[],
  { output, subs = {}, failAfterExecutable = false }: WorkflowOptions,
): Promise<void> {
  const template = (id: string, own: PartialNode[], from: string) => ({
    id: idOf(ResourceType.WORKFLOW, id),
    metadata: { onFailure: failAfterExecutable ? 1 : 0 },
    metadataDefaults: {},
    interface: integers(['x'], ['o0']),
    nodes: own,
    outputs: [promise('o0', from, 'o0')],
  });
  const spec = WorkflowSpec.fromPartial({
    template: template(name, nodes, output),
    subWorkflows: Object.entries(subs).map(([id, sub]) => template(id, sub.nodes, sub.output)),
  });
  await admin.createWorkflow({ id: idOf(ResourceType.WORKFLOW, name), spec });
  await admin.createLaunchPlan({
    id: idOf(ResourceType.LAUNCH_PLAN, name),
    spec: LaunchPlanSpec.fromPartial({ workflowId: idOf(ResourceType.WORKFLOW, name) }),
  });
}
