import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import {
  WatchServiceService,
  type WatchExecutionRequest,
  type WatchExecutionResponse,
  type WatchProjectRequest,
  type WatchProjectResponse,
} from '@aloft/idl/aloft/v1/watch';
import { Inject } from '@nestjs/common';
import { WatchService } from './watch.service.js';

@GrpcController(WatchServiceService)
export class WatchController implements Handlers<typeof WatchServiceService> {
  constructor(@Inject(WatchService) private readonly watch: WatchService) {}

  watchExecution(request: WatchExecutionRequest, { signal }: CallContext): AsyncIterable<WatchExecutionResponse> {
    return this.watch.watchExecution(request, signal);
  }

  watchProject(request: WatchProjectRequest, { signal }: CallContext): AsyncIterable<WatchProjectResponse> {
    return this.watch.watchProject(request, signal);
  }
}
