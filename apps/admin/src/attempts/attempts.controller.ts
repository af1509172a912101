import {
  AttemptServiceService,
  type GetLoadRequest,
  type GetLoadResponse,
  type GetUsageRequest,
  type GetUsageResponse,
  type ListAttemptsRequest,
  type ListAttemptsResponse,
  type ListItemsRequest,
  type ListItemsResponse,
} from '@aloft/idl/aloft/v1/attempts';
import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { Inject } from '@nestjs/common';
import { AttemptsService } from './attempts.service.js';
import { ItemsService } from './items.service.js';
import { LoadService } from './load.service.js';

@GrpcController(AttemptServiceService)
export class AttemptsController implements Handlers<typeof AttemptServiceService> {
  constructor(
    @Inject(AttemptsService) private readonly attempts: AttemptsService,
    @Inject(ItemsService) private readonly items: ItemsService,
    @Inject(LoadService) private readonly loads: LoadService,
  ) {}

  listAttempts(request: ListAttemptsRequest): Promise<ListAttemptsResponse> {
    return this.attempts.list(request);
  }

  listItems(request: ListItemsRequest, { signal }: CallContext): Promise<ListItemsResponse> {
    return this.items.list(request, signal);
  }

  getUsage(request: GetUsageRequest, { signal }: CallContext): Promise<GetUsageResponse> {
    return this.attempts.usage(request, signal);
  }

  getLoad(request: GetLoadRequest, { signal }: CallContext): Promise<GetLoadResponse> {
    return this.loads.load(request, signal);
  }
}
