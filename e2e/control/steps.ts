import { BenchClient } from '@aloft/bench/client';
import { identifier } from '@aloft/bench/shapes';
import { ExecutionSpec } from '@aloft/idl/flyteidl/admin/execution';
import { TaskCreateRequest } from '@aloft/idl/flyteidl/admin/task';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { Node, WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';

export interface Step {
  script: string;
  after?: string[];
}

/** Workflows of shell tasks, each step a task of its own. */
export class Steps {
  readonly client: BenchClient;

  constructor(address: string) {
    this.client = new BenchClient(address);
  }

  /** Another version of one step's task, or its first. */
  async registerStep(workflow: string, step: string, script: string, version: string): Promise<void> {
    const template = TaskTemplate.fromPartial({
      id: identifier(ResourceType.TASK, `${workflow}.${step}`, version),
      type: 'container',
      metadata: { runtime: { type: 0, version: '1', flavor: 'control' } },
      interface: {},
      target: { $case: 'container', value: { image: 'none', args: ['sh', '-c', script] } },
    });
    await this.client.admin.createTask(TaskCreateRequest.fromPartial({ id: template.id, spec: { template } }));
  }

  async register(workflow: string, steps: Record<string, Step>): Promise<void> {
    for (const [step, { script }] of Object.entries(steps)) await this.registerStep(workflow, step, script, 'v1');
    const nodes = Object.entries(steps).map(([id, { after }]) =>
      Node.fromPartial({
        id,
        metadata: { name: id },
        upstreamNodeIds: after ?? [],
        target: {
          $case: 'taskNode',
          value: {
            reference: { $case: 'referenceId', value: identifier(ResourceType.TASK, `${workflow}.${id}`, 'v1') },
          },
        },
      }),
    );
    const template = { id: identifier(ResourceType.WORKFLOW, workflow, 'v1'), metadata: {}, metadataDefaults: {} };
    const variables = { variables: {} };
    await this.client.register(
      WorkflowTemplate.fromPartial({ ...template, nodes, interface: { inputs: variables, outputs: variables } }),
      'v1',
    );
  }

  async launch(workflow: string, name: string): Promise<void> {
    await this.client.admin.createExecution({
      project: 'aloft',
      domain: 'development',
      name,
      org: '',
      inputs: undefined,
      spec: Steps.specOf(workflow),
    });
  }

  private static specOf(workflow: string) {
    const launchPlan = identifier(ResourceType.LAUNCH_PLAN, workflow, 'v1');
    return ExecutionSpec.fromPartial({ launchPlan, metadata: {} });
  }
}
