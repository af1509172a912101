import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type {
  NodeExecutionEventRequest,
  NodeExecutionEventResponse,
  TaskExecutionEventRequest,
  TaskExecutionEventResponse,
  WorkflowExecutionEventRequest,
  WorkflowExecutionEventResponse,
} from '@aloft/idl/flyteidl/admin/event';
import { Inject } from '@nestjs/common';
import { nodeEvent, taskEvent, workflowEvent } from './event-requests.js';
import { EventsService } from './events.service.js';

type Served = 'createWorkflowEvent' | 'createNodeEvent' | 'createTaskEvent';

/** A-60…A-62: what foreign engines tell. */
@GrpcController(AdminServiceService)
export class EventsController implements Pick<Handlers<typeof AdminServiceService>, Served> {
  constructor(@Inject(EventsService) private readonly events: EventsService) {}

  async createWorkflowEvent(
    request: WorkflowExecutionEventRequest,
    call: CallContext,
  ): Promise<WorkflowExecutionEventResponse> {
    await this.events.take(workflowEvent(request), call.principal.subject);
    return {};
  }

  async createNodeEvent(request: NodeExecutionEventRequest, call: CallContext): Promise<NodeExecutionEventResponse> {
    await this.events.take(nodeEvent(request), call.principal.subject);
    return {};
  }

  async createTaskEvent(request: TaskExecutionEventRequest, call: CallContext): Promise<TaskExecutionEventResponse> {
    await this.events.take(taskEvent(request), call.principal.subject);
    return {};
  }
}
