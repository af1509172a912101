import { LaunchPlanSpec } from '@aloft/idl/flyteidl/admin/launch_plan';
import { WorkflowSpec } from '@aloft/idl/flyteidl/admin/workflow';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import type { TypedInterface } from '@aloft/idl/flyteidl/core/interface';
import { Binding } from '@aloft/idl/flyteidl/core/literals';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { identifierOf, type EntityKey } from '../registry/identifiers.js';

const startNode = 'start-node';
const maxNodeIdLength = 63;

/** Workflow and launch plan that stand for a single task: `.flytegen.<task name>`, at the task's version. */
export function generatedKey(task: EntityKey): EntityKey {
  return { ...task, name: `.flytegen.${task.name}` };
}

/** The one node is named after the task: letters, digits and "-", the last 63 characters. */
export function generatedNodeId(taskName: string): string {
  const cleaned = taskName.replace(/[^A-Za-z0-9-]/g, '').slice(-maxNodeIdLength);
  return cleaned.replace(/^-+/, '') || 'task';
}

export function generatedWorkflow(task: EntityKey, template: TaskTemplate): WorkflowSpec {
  const nodeId = generatedNodeId(task.name);
  const typed = template.interface;
  return WorkflowSpec.fromPartial({
    template: {
      id: identifierOf(generatedKey(task), ResourceType.WORKFLOW),
      metadata: {},
      metadataDefaults: {},
      interface: typed ?? {},
      nodes: [
        {
          id: nodeId,
          metadata: {
            name: nodeId,
            retries: template.metadata?.retries ?? { retries: 0 },
            ...(template.metadata?.timeout ? { timeout: template.metadata.timeout } : {}),
          },
          inputs: promises(typed, 'inputs', startNode),
          target: {
            $case: 'taskNode',
            value: { reference: { $case: 'referenceId', value: identifierOf(task, ResourceType.TASK) } },
          },
        },
      ],
      outputs: promises(typed, 'outputs', nodeId),
    },
  });
}

export function generatedPlan(task: EntityKey): LaunchPlanSpec {
  return LaunchPlanSpec.fromPartial({ workflowId: identifierOf(generatedKey(task), ResourceType.WORKFLOW) });
}

function promises(typed: TypedInterface | undefined, side: 'inputs' | 'outputs', nodeId: string): Binding[] {
  return Object.keys(typed?.[side]?.variables ?? {}).map((name) =>
    Binding.fromPartial({ var: name, binding: { value: { $case: 'promise', value: { nodeId, var: name } } } }),
  );
}
