import {
  RetentionServiceService,
  type DeleteRetentionPolicyRequest,
  type DeleteRetentionPolicyResponse,
  type EraseExecutionRequest,
  type EraseExecutionResponse,
  type Erasure,
  type GetErasureRequest,
  type GetRetentionPolicyRequest,
  type LegalHold,
  type ListErasuresRequest,
  type ListErasuresResponse,
  type ListLegalHoldsRequest,
  type ListLegalHoldsResponse,
  type ListRetentionPoliciesRequest,
  type ListRetentionPoliciesResponse,
  type PreviewRetentionRequest,
  type PreviewRetentionResponse,
  type RemoveLegalHoldRequest,
  type RemoveLegalHoldResponse,
  type RetentionPolicy,
  type SetLegalHoldRequest,
  type SetRetentionPolicyRequest,
} from '@aloft/idl/aloft/v1/retention';
import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { Inject } from '@nestjs/common';
import { ErasuresService } from './erasures.service.js';
import { RetentionService } from './retention.service.js';

@GrpcController(RetentionServiceService)
export class RetentionController implements Handlers<typeof RetentionServiceService> {
  constructor(
    @Inject(RetentionService) private readonly retention: RetentionService,
    @Inject(ErasuresService) private readonly erasures: ErasuresService,
  ) {}

  setRetentionPolicy({ policy }: SetRetentionPolicyRequest, call: CallContext): Promise<RetentionPolicy> {
    return this.retention.setPolicy(policy, call.principal.subject);
  }

  getRetentionPolicy({ scope }: GetRetentionPolicyRequest): Promise<RetentionPolicy> {
    return this.retention.getPolicy(scope);
  }

  async deleteRetentionPolicy({ scope }: DeleteRetentionPolicyRequest): Promise<DeleteRetentionPolicyResponse> {
    await this.retention.deletePolicy(scope);
    return {};
  }

  async listRetentionPolicies(request: ListRetentionPoliciesRequest): Promise<ListRetentionPoliciesResponse> {
    return { policies: await this.retention.listPolicies(request.org, request.project) };
  }

  previewRetention(request: PreviewRetentionRequest): Promise<PreviewRetentionResponse> {
    return this.retention.preview(request);
  }

  eraseExecution(request: EraseExecutionRequest, call: CallContext): Promise<EraseExecutionResponse> {
    return this.erasures.erase(request, call.principal.subject);
  }

  getErasure({ id }: GetErasureRequest): Promise<Erasure> {
    return this.erasures.get(id);
  }

  listErasures(request: ListErasuresRequest): Promise<ListErasuresResponse> {
    return this.erasures.list(request);
  }

  setLegalHold({ hold }: SetLegalHoldRequest, call: CallContext): Promise<LegalHold> {
    return this.retention.setHold(hold, call.principal.subject);
  }

  async removeLegalHold({ org, id }: RemoveLegalHoldRequest): Promise<RemoveLegalHoldResponse> {
    await this.retention.removeHold(org, id);
    return {};
  }

  async listLegalHolds({ org, project }: ListLegalHoldsRequest): Promise<ListLegalHoldsResponse> {
    return { holds: await this.retention.listHolds(org, project) };
  }
}
