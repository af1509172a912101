import {
  RunLogServiceService,
  type ReadRunLogRequest,
  type ReadRunLogResponse,
  type ReadStoredRunRequest,
  type ReadStoredRunResponse,
} from '@aloft/idl/aloft/v1/history';
import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { Inject } from '@nestjs/common';
import { RunLogService } from './run-log.service.js';

@GrpcController(RunLogServiceService)
export class RunLogController implements Handlers<typeof RunLogServiceService> {
  constructor(@Inject(RunLogService) private readonly log: RunLogService) {}

  readRunLog(request: ReadRunLogRequest, { signal }: CallContext): AsyncIterable<ReadRunLogResponse> {
    return this.log.read(request, signal);
  }

  readStoredRun(request: ReadStoredRunRequest): AsyncIterable<ReadStoredRunResponse> {
    return this.log.stored(request);
  }
}
