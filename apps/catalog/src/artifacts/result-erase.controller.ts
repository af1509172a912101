import {
  ResultEraseServiceService,
  type EraseResultsRequest,
  type EraseResultsResponse,
} from '@aloft/idl/aloft/v1/retention';
import { GrpcController, type Handlers } from '@aloft/rpc';
import { ResultEraseService } from './result-erase.service.js';

@GrpcController(ResultEraseServiceService)
export class ResultEraseController implements Handlers<typeof ResultEraseServiceService> {
  constructor(private readonly results: ResultEraseService) {}

  eraseResults(request: EraseResultsRequest): Promise<EraseResultsResponse> {
    return this.results.erase(request);
  }
}
