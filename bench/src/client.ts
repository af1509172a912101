import { createClient } from '@aloft/rpc';
import { AdminServiceClient } from '@aloft/idl/flyteidl/service/admin';
import { WatchExecutionRequest, WatchServiceClient } from '@aloft/idl/aloft/v1/watch';
import { ResourceType, type WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import {
  LaunchPlanCreateRequest,
  LaunchPlanState,
  LaunchPlanUpdateRequest,
} from '@aloft/idl/flyteidl/admin/launch_plan';
import { TaskCreateRequest } from '@aloft/idl/flyteidl/admin/task';
import { WorkflowCreateRequest } from '@aloft/idl/flyteidl/admin/workflow';
import { ExecutionCreateRequest, WorkflowExecutionGetRequest } from '@aloft/idl/flyteidl/admin/execution';
import { WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { domain, identifier, integerLiteral, noopTask, project } from './shapes.js';

const terminal = new Set([
  WorkflowExecution_Phase.SUCCEEDED,
  WorkflowExecution_Phase.FAILED,
  WorkflowExecution_Phase.ABORTED,
  WorkflowExecution_Phase.TIMED_OUT,
]);

/** The public API as the workloads use it. */
export class BenchClient {
  readonly admin;
  readonly watch;

  constructor(address: string) {
    this.admin = createClient(AdminServiceClient, address, { deadlineMs: 120_000 });
    this.watch = createClient(WatchServiceClient, address, { deadlineMs: 600_000 });
  }

  async registerTask(version: string, template: TaskTemplate = noopTask(version)): Promise<void> {
    await this.admin.createTask(TaskCreateRequest.fromPartial({ id: template.id, spec: { template } }));
  }

  async register(template: WorkflowTemplate, version: string): Promise<void> {
    await this.admin.createWorkflow(WorkflowCreateRequest.fromPartial({ id: template.id, spec: { template } }));
    const id = identifier(ResourceType.LAUNCH_PLAN, template.id?.name as string, version);
    const plan = { id, spec: { workflowId: template.id, entityMetadata: {}, defaultInputs: {}, fixedInputs: {} } };
    await this.admin.createLaunchPlan(LaunchPlanCreateRequest.fromPartial(plan));
    await this.admin.updateLaunchPlan(LaunchPlanUpdateRequest.fromPartial({ id, state: LaunchPlanState.ACTIVE }));
  }

  async launch(workflow: string, version: string, name: string): Promise<WorkflowExecutionIdentifier> {
    const { id } = await this.admin.createExecution(
      ExecutionCreateRequest.fromPartial({
        project,
        domain,
        name,
        spec: { launchPlan: identifier(ResourceType.LAUNCH_PLAN, workflow, version), metadata: {} },
        inputs: { literals: { x: integerLiteral(1n) } },
      }),
    );
    return id as WorkflowExecutionIdentifier;
  }

  /**
   * Watches a run until the read model has its end: `ended` is called when Watch says so, which is earlier. Throws unless it
   * SUCCEEDED.
   */
  async succeeded(id: WorkflowExecutionIdentifier, ended: () => void = () => undefined): Promise<void> {
    let over = false;
    const request = WatchExecutionRequest.fromPartial({ id, executionOnly: true, untilStored: true });
    for await (const { update } of this.watch.watchExecution(request)) {
      const phase =
        update?.$case === 'snapshot'
          ? update.value.execution?.closure?.phase
          : update?.$case === 'event' && update.value.event?.$case === 'workflow'
            ? update.value.event.value.phase
            : undefined;
      if (phase === undefined || !terminal.has(phase)) continue;
      if (phase !== WorkflowExecution_Phase.SUCCEEDED)
        throw new Error(`${id.name} ended ${WorkflowExecution_Phase[phase]}`);
      over = true;
      ended();
    }
    if (!over) throw new Error(`the watch of ${id.name} ended before the run did`);
  }

  /** Polls until the read model has the run's end: for a platform whose parts go away meanwhile, and streams with them. */
  async projected(id: WorkflowExecutionIdentifier): Promise<void> {
    for (;;) {
      const execution = await this.admin.getExecution(WorkflowExecutionGetRequest.fromPartial({ id }));
      if (terminal.has(execution.closure?.phase as WorkflowExecution_Phase)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  close(): void {
    this.admin.close();
    this.watch.close();
  }
}
