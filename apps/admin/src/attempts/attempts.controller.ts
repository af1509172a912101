import {
  AttemptServiceService,
  type GetUsageRequest,
  type GetUsageResponse,
  type ListAttemptsRequest,
  type ListAttemptsResponse,
} from '@aloft/idl/aloft/v1/attempts';
import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { Inject } from '@nestjs/common';
import { AttemptsService } from './attempts.service.js';

@GrpcController(AttemptServiceService)
export class AttemptsController implements Handlers<typeof AttemptServiceService> {
  constructor(@Inject(AttemptsService) private readonly attempts: AttemptsService) {}

  listAttempts(request: ListAttemptsRequest): Promise<ListAttemptsResponse> {
    return this.attempts.list(request);
  }

  getUsage(request: GetUsageRequest, { signal }: CallContext): Promise<GetUsageResponse> {
    return this.attempts.usage(request, signal);
  }
}
