import {
  ExplainServiceService,
  type ExplainExecutionRequest,
  type ExplainExecutionResponse,
  type ExplainNodeRequest,
  type ExplainNodeResponse,
  type ListWaitingRequest,
  type ListWaitingResponse,
} from '@aloft/idl/aloft/v1/explain';
import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { Inject } from '@nestjs/common';
import { ExplainService } from './explain.service.js';

@GrpcController(ExplainServiceService)
export class ExplainController implements Handlers<typeof ExplainServiceService> {
  constructor(@Inject(ExplainService) private readonly explain: ExplainService) {}

  explainExecution(request: ExplainExecutionRequest, { signal }: CallContext): Promise<ExplainExecutionResponse> {
    return this.explain.explainExecution(request, signal);
  }

  explainNode(request: ExplainNodeRequest, { signal }: CallContext): Promise<ExplainNodeResponse> {
    return this.explain.explainNode(request, signal);
  }

  listWaiting(request: ListWaitingRequest): Promise<ListWaitingResponse> {
    return this.explain.listWaiting(request);
  }
}
