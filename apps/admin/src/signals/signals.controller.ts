import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { SignalServiceService } from '@aloft/idl/flyteidl/service/signal';
import type {
  Signal,
  SignalGetOrCreateRequest,
  SignalList,
  SignalListRequest,
  SignalSetRequest,
  SignalSetResponse,
} from '@aloft/idl/flyteidl/admin/signal';
import { Inject } from '@nestjs/common';
import { SignalsService } from './signals.service.js';

@GrpcController(SignalServiceService)
export class SignalsController implements Handlers<typeof SignalServiceService> {
  constructor(@Inject(SignalsService) private readonly signals: SignalsService) {}

  getOrCreateSignal(request: SignalGetOrCreateRequest): Promise<Signal> {
    return this.signals.getOrCreate(request);
  }

  listSignals(request: SignalListRequest): Promise<SignalList> {
    return this.signals.list(request);
  }

  async setSignal(request: SignalSetRequest, call: CallContext): Promise<SignalSetResponse> {
    await this.signals.set(request, call.principal.subject);
    return {};
  }
}
