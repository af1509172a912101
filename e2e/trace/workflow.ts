import { domain, identifier, integerLiteral, noopTask, project } from '@aloft/bench/shapes';
import { BenchClient } from '@aloft/bench/client';
import { ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import { TaskCreateRequest } from '@aloft/idl/flyteidl/admin/task';
import { ResourceType, type WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { Node, WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';

const name = 'trace.three_steps';

/** Three steps: `n0` is looked up in the cache, `n1` runs `script` in a shell with one retry, `n2` comes last. */
export class ThreeSteps {
  readonly client: BenchClient;

  constructor(
    address: string,
    private readonly version: string,
  ) {
    this.client = new BenchClient(address);
  }

  async register(script: string): Promise<void> {
    const { version } = this;
    const plain = noopTask(version);
    const id = (task: string) => identifier(ResourceType.TASK, task, version);
    const cached = TaskTemplate.fromPartial({
      ...plain,
      id: id('trace.cached'),
      metadata: { ...plain.metadata, discoverable: true, discoveryVersion: version },
    });
    const shell = TaskTemplate.fromPartial({
      id: id('trace.shell'),
      type: 'container',
      metadata: { runtime: { type: 0, version: '1', flavor: 'trace' }, retries: { retries: 1 } },
      interface: {},
      target: { $case: 'container', value: { image: 'none', args: ['sh', '-c', script] } },
    });
    for (const template of [plain, cached, shell])
      await this.client.admin.createTask(TaskCreateRequest.fromPartial({ id: template.id, spec: { template } }));
    const x = {
      var: 'x',
      binding: { value: { $case: 'promise' as const, value: { nodeId: '', var: 'x' } } },
    };
    const node = (nodeId: string, template: TaskTemplate, after: string[], inputs: (typeof x)[]): Node =>
      Node.fromPartial({
        id: nodeId,
        metadata: { name: nodeId },
        upstreamNodeIds: after,
        inputs,
        target: { $case: 'taskNode', value: { reference: { $case: 'referenceId', value: template.id! } } },
      });
    const workflow = WorkflowTemplate.fromPartial({
      id: identifier(ResourceType.WORKFLOW, name, version),
      metadata: {},
      metadataDefaults: {},
      interface: { inputs: plain.interface?.inputs, outputs: { variables: {} } },
      nodes: [node('n0', cached, [], [x]), node('n1', shell, ['n0'], []), node('n2', plain, ['n1'], [x])],
    });
    await this.client.register(workflow, version);
  }

  async launch(execution: string): Promise<WorkflowExecutionIdentifier> {
    const { id } = await this.client.admin.createExecution(
      ExecutionCreateRequest.fromPartial({
        project,
        domain,
        name: execution,
        spec: { launchPlan: identifier(ResourceType.LAUNCH_PLAN, name, this.version), metadata: {} },
        inputs: { literals: { x: integerLiteral(1n) } },
      }),
    );
    return id!;
  }

  close(): void {
    this.client.close();
  }
}
