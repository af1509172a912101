import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { LogServiceService, type StreamLogsRequest, type StreamLogsResponse } from '@aloft/idl/aloft/v1/watch';
import { Inject } from '@nestjs/common';
import { LogsService } from './logs.service.js';

@GrpcController(LogServiceService)
export class LogsController implements Handlers<typeof LogServiceService> {
  constructor(@Inject(LogsService) private readonly logs: LogsService) {}

  streamLogs(request: StreamLogsRequest, { signal }: CallContext): AsyncIterable<StreamLogsResponse> {
    return this.logs.stream(request, signal);
  }
}
