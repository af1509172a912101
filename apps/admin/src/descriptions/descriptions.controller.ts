import { GrpcController, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type { ObjectGetRequest } from '@aloft/idl/flyteidl/admin/common';
import type {
  DescriptionEntity,
  DescriptionEntityList,
  DescriptionEntityListRequest,
} from '@aloft/idl/flyteidl/admin/description_entity';
import { Inject } from '@nestjs/common';
import { DescriptionsService } from './descriptions.service.js';

type Served = 'getDescriptionEntity' | 'listDescriptionEntities';

@GrpcController(AdminServiceService)
export class DescriptionsController implements Pick<Handlers<typeof AdminServiceService>, Served> {
  constructor(@Inject(DescriptionsService) private readonly descriptions: DescriptionsService) {}

  getDescriptionEntity({ id }: ObjectGetRequest): Promise<DescriptionEntity> {
    return this.descriptions.get(id);
  }

  listDescriptionEntities(request: DescriptionEntityListRequest): Promise<DescriptionEntityList> {
    return this.descriptions.list(request);
  }
}
