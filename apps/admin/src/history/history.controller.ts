import {
  HistoryServiceService,
  type GetExecutionAtRequest,
  type GetExecutionAtResponse,
  type HistoryEntry,
  type ReplayExecutionRequest,
  type ReplayExecutionResponse,
  type StreamHistoryRequest,
} from '@aloft/idl/aloft/v1/history';
import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { Inject } from '@nestjs/common';
import { HistoryService } from './history.service.js';
import { ReplayService } from './replay.service.js';

@GrpcController(HistoryServiceService)
export class HistoryController implements Handlers<typeof HistoryServiceService> {
  constructor(
    @Inject(HistoryService) private readonly history: HistoryService,
    @Inject(ReplayService) private readonly replays: ReplayService,
  ) {}

  streamHistory(request: StreamHistoryRequest, { signal }: CallContext): AsyncIterable<HistoryEntry> {
    return this.history.stream(request, signal);
  }

  replayExecution({ id }: ReplayExecutionRequest, { signal }: CallContext): Promise<ReplayExecutionResponse> {
    return this.replays.replay(id, signal);
  }

  getExecutionAt(request: GetExecutionAtRequest, { signal }: CallContext): Promise<GetExecutionAtResponse> {
    return this.history.at(request, signal);
  }
}
