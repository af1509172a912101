import { invalidArgument } from '@aloft/errors';
import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type { ResourceListRequest } from '@aloft/idl/flyteidl/admin/common';
import type {
  Execution,
  ExecutionCreateRequest,
  ExecutionCreateResponse,
  ExecutionList,
  ExecutionRecoverRequest,
  ExecutionRelaunchRequest,
  ExecutionTerminateRequest,
  ExecutionTerminateResponse,
  ExecutionUpdateRequest,
  ExecutionUpdateResponse,
  WorkflowExecutionGetDataRequest,
  WorkflowExecutionGetDataResponse,
  WorkflowExecutionGetMetricsRequest,
  WorkflowExecutionGetMetricsResponse,
  WorkflowExecutionGetRequest,
} from '@aloft/idl/flyteidl/admin/execution';
import { Inject } from '@nestjs/common';
import { ExecutionControlService } from './execution-control.service.js';
import { ExecutionMetricsService } from './execution-metrics.service.js';
import { ExecutionReadsService } from './execution-reads.service.js';
import { ExecutionsService, type CreateOrigin } from './executions.service.js';

type Served =
  | `${'create' | 'relaunch' | 'recover' | 'get' | 'terminate' | 'update'}Execution`
  | 'listExecutions'
  | 'getExecutionData'
  | 'getExecutionMetrics';

/** Header by which a propeller says which attempt of the parent node starts this child. */
export const parentAttemptHeader = 'aloft-parent-attempt';
/** `current`: a relaunch takes its settings from the plan as it is now, not from the old run. */
const settingsHeader = 'aloft-settings';

@GrpcController(AdminServiceService)
export class ExecutionsController implements Pick<Handlers<typeof AdminServiceService>, Served> {
  constructor(
    @Inject(ExecutionsService) private readonly executions: ExecutionsService,
    @Inject(ExecutionControlService) private readonly control: ExecutionControlService,
    @Inject(ExecutionReadsService) private readonly reads: ExecutionReadsService,
    @Inject(ExecutionMetricsService) private readonly metrics: ExecutionMetricsService,
  ) {}

  async createExecution(request: ExecutionCreateRequest, call: CallContext): Promise<ExecutionCreateResponse> {
    return { id: await this.executions.create(request, originOf(call)) };
  }

  async relaunchExecution(request: ExecutionRelaunchRequest, call: CallContext): Promise<ExecutionCreateResponse> {
    return { id: await this.executions.relaunch(request, originOf(call)) };
  }

  async recoverExecution(request: ExecutionRecoverRequest, call: CallContext): Promise<ExecutionCreateResponse> {
    return { id: await this.executions.recover(request, originOf(call)) };
  }

  getExecution({ id }: WorkflowExecutionGetRequest): Promise<Execution> {
    return this.reads.get(id);
  }

  listExecutions(request: ResourceListRequest): Promise<ExecutionList> {
    return this.reads.list(request);
  }

  getExecutionData({ id }: WorkflowExecutionGetDataRequest): Promise<WorkflowExecutionGetDataResponse> {
    return this.reads.getData(id);
  }

  async getExecutionMetrics(request: WorkflowExecutionGetMetricsRequest): Promise<WorkflowExecutionGetMetricsResponse> {
    return { span: await this.metrics.spanOf(request.id, request.depth) };
  }

  async terminateExecution(request: ExecutionTerminateRequest, call: CallContext): Promise<ExecutionTerminateResponse> {
    await this.control.terminate(request, call.principal.subject);
    return {};
  }

  async updateExecution(request: ExecutionUpdateRequest, call: CallContext): Promise<ExecutionUpdateResponse> {
    await this.control.update(request, call.principal.subject);
    return {};
  }
}

function originOf(call: CallContext): CreateOrigin {
  const attempt = call.header(parentAttemptHeader);
  const settings = call.header(settingsHeader);
  if (settings !== undefined && settings !== 'current')
    throw invalidArgument(`${settingsHeader}: ${JSON.stringify(settings)} is unknown; use "current", or leave it out`);
  return {
    principal: call.principal.subject,
    currentSettings: settings === 'current',
    ...(attempt !== undefined && /^\d{1,9}$/.test(attempt) ? { parentAttempt: Number(attempt) } : {}),
  };
}
