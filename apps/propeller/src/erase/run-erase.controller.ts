import { RunEraseServiceService, type EraseRunRequest, type EraseRunResponse } from '@aloft/idl/aloft/v1/retention';
import { GrpcController, type Handlers } from '@aloft/rpc';
import { Inject } from '@nestjs/common';
import { RunEraseService } from './run-erase.service.js';

@GrpcController(RunEraseServiceService)
export class RunEraseController implements Handlers<typeof RunEraseServiceService> {
  constructor(@Inject(RunEraseService) private readonly runs: RunEraseService) {}

  eraseRun(request: EraseRunRequest): Promise<EraseRunResponse> {
    return this.runs.erase(request);
  }
}
