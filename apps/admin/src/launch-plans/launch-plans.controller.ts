import { GrpcController, type CallContext, type Encoded, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type {
  NamedEntityIdentifierList,
  NamedEntityIdentifierListRequest,
  ObjectGetRequest,
  ResourceListRequest,
} from '@aloft/idl/flyteidl/admin/common';
import type {
  ActiveLaunchPlanListRequest,
  ActiveLaunchPlanRequest,
  LaunchPlan,
  LaunchPlanCreateRequest,
  LaunchPlanCreateResponse,
  LaunchPlanList,
  LaunchPlanUpdateRequest,
  LaunchPlanUpdateResponse,
} from '@aloft/idl/flyteidl/admin/launch_plan';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { Inject } from '@nestjs/common';
import { NamedEntitiesService } from '../named-entities/named-entities.service.js';
import { fieldBytes } from '../registry/original-bytes.js';
import { warnOfVersion } from '../registry/version-warning.js';
import { LaunchPlansService } from './launch-plans.service.js';

type Served =
  | 'createLaunchPlan'
  | 'getLaunchPlan'
  | 'getActiveLaunchPlan'
  | 'listActiveLaunchPlans'
  | 'listLaunchPlans'
  | 'listLaunchPlanIds'
  | 'updateLaunchPlan';

const specField = 2;

@GrpcController(AdminServiceService)
export class LaunchPlansController implements Pick<Handlers<typeof AdminServiceService>, Served> {
  constructor(
    @Inject(LaunchPlansService) private readonly plans: LaunchPlansService,
    @Inject(NamedEntitiesService) private readonly names: NamedEntitiesService,
  ) {}

  async createLaunchPlan(request: LaunchPlanCreateRequest, call: CallContext): Promise<LaunchPlanCreateResponse> {
    await this.plans.create(request, fieldBytes(call.requestBytes, specField));
    warnOfVersion(call, request.id);
    return {};
  }

  getLaunchPlan({ id }: ObjectGetRequest): Promise<LaunchPlan> {
    return this.plans.get(id);
  }

  getActiveLaunchPlan({ id }: ActiveLaunchPlanRequest): Promise<LaunchPlan> {
    return this.plans.getActive(id);
  }

  listActiveLaunchPlans(request: ActiveLaunchPlanListRequest): Promise<Encoded<LaunchPlanList>> {
    return this.plans.listActive(request);
  }

  listLaunchPlans(request: ResourceListRequest): Promise<Encoded<LaunchPlanList>> {
    return this.plans.list(request);
  }

  listLaunchPlanIds(request: NamedEntityIdentifierListRequest): Promise<NamedEntityIdentifierList> {
    return this.names.listIds(ResourceType.LAUNCH_PLAN, request);
  }

  async updateLaunchPlan(request: LaunchPlanUpdateRequest): Promise<LaunchPlanUpdateResponse> {
    await this.plans.update(request);
    return {};
  }
}
