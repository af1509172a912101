import { createClient } from '@aloft/rpc';
import { AdminServiceClient } from '@aloft/idl/flyteidl/service/admin';
import { WatchExecutionRequest, WatchServiceClient } from '@aloft/idl/aloft/v1/watch';
import { ResourceType, type WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import {
  LaunchPlanCreateRequest,
  LaunchPlanState,
  LaunchPlanUpdateRequest,
} from '@aloft/idl/flyteidl/admin/launch_plan';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { SignalServiceClient } from '@aloft/idl/flyteidl/service/signal';
import { TaskCreateRequest } from '@aloft/idl/flyteidl/admin/task';
import { WorkflowCreateRequest } from '@aloft/idl/flyteidl/admin/workflow';
import { ExecutionCreateRequest, WorkflowExecutionGetRequest } from '@aloft/idl/flyteidl/admin/execution';
import { TaskExecution_Phase, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { SignalSetRequest } from '@aloft/idl/flyteidl/admin/signal';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { booleanLiteral, domain, identifier, integerLiteral, noopTask, project } from './shapes.js';

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
  readonly signals;

  constructor(address: string) {
    this.admin = createClient(AdminServiceClient, address, { deadlineMs: 120_000 });
    this.watch = createClient(WatchServiceClient, address, { deadlineMs: 3_600_000 });
    this.signals = createClient(SignalServiceClient, address, { deadlineMs: 120_000 });
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

  /** `inputs`: one integer where nothing is said. */
  async launch(
    workflow: string,
    version: string,
    name: string,
    inputs: Record<string, Literal> = { x: integerLiteral(1n) },
  ): Promise<WorkflowExecutionIdentifier> {
    const { id } = await this.admin.createExecution(
      ExecutionCreateRequest.fromPartial({
        project,
        domain,
        name,
        spec: { launchPlan: identifier(ResourceType.LAUNCH_PLAN, workflow, version), metadata: {} },
        inputs: { literals: inputs },
      }),
    );
    return id as WorkflowExecutionIdentifier;
  }

  /**
   * Watches a run until the read model has its end: `began` is called with the first word of it, `ended` when Watch says so, which is
   * before the read model has it. Throws unless it SUCCEEDED.
   */
  async succeeded(
    id: WorkflowExecutionIdentifier,
    { began, ended }: { began?: () => void; ended?: () => void } = {},
  ): Promise<void> {
    let over = false;
    let known = false;
    const request = WatchExecutionRequest.fromPartial({ id, executionOnly: true, untilStored: true });
    for await (const { update } of this.watch.watchExecution(request)) {
      if (!known) began?.();
      known = true;
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
      ended?.();
    }
    if (!over) throw new Error(`the watch of ${id.name} ended before the run did`);
  }

  /** Resolves when so many nodes of a run are queued at least; gives the sequence of the last event seen. */
  async nodesBegun(id: WorkflowExecutionIdentifier, count: number): Promise<bigint> {
    const begun = new Set<string>();
    const add = (nodeId: string | undefined) => nodeId !== undefined && begun.add(nodeId);
    for await (const { update } of this.watch.watchExecution(WatchExecutionRequest.fromPartial({ id }))) {
      if (update?.$case === 'snapshot') for (const node of update.value.nodes) add(node.id?.nodeId);
      else if (update?.$case === 'event' && update.value.event?.$case === 'node')
        add(update.value.event.value.id?.nodeId);
      if (begun.size < count) continue;
      return update?.$case === 'event' ? update.value.sequence : (update?.value.sequence ?? 0n);
    }
    throw new Error(`${id.name} ended before ${count} of its nodes had begun`);
  }

  /** Resolves when a task of the run is done that was not before `since` (milliseconds since the epoch). */
  async nextStep(id: WorkflowExecutionIdentifier, afterSequence: bigint, since: number): Promise<void> {
    const request = WatchExecutionRequest.fromPartial({ id, afterSequence });
    for await (const { update } of this.watch.watchExecution(request)) {
      if (update?.$case !== 'event' || update.value.event?.$case !== 'task') continue;
      const { phase, reportedAt } = update.value.event.value;
      const at = Number(reportedAt?.seconds ?? 0n) * 1000 + (reportedAt?.nanos ?? 0) / 1e6;
      if (phase === TaskExecution_Phase.SUCCEEDED && at >= since) return;
    }
    throw new Error(`${id.name} ended before another step of it was done`);
  }

  async approve(executionId: WorkflowExecutionIdentifier, signalId: string): Promise<void> {
    await this.signals.setSignal(
      SignalSetRequest.fromPartial({ id: { executionId, signalId }, value: booleanLiteral(true) }),
    );
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
    this.signals.close();
  }
}
