import { GrpcController, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type {
  NamedEntity,
  NamedEntityGetRequest,
  NamedEntityList,
  NamedEntityListRequest,
  NamedEntityUpdateRequest,
  NamedEntityUpdateResponse,
} from '@aloft/idl/flyteidl/admin/common';
import { Inject } from '@nestjs/common';
import { NamedEntitiesService } from './named-entities.service.js';

type Served = 'listNamedEntities' | 'getNamedEntity' | 'updateNamedEntity';

@GrpcController(AdminServiceService)
export class NamedEntitiesController implements Pick<Handlers<typeof AdminServiceService>, Served> {
  constructor(@Inject(NamedEntitiesService) private readonly names: NamedEntitiesService) {}

  listNamedEntities(request: NamedEntityListRequest): Promise<NamedEntityList> {
    return this.names.list(request);
  }

  getNamedEntity(request: NamedEntityGetRequest): Promise<NamedEntity> {
    return this.names.get(request);
  }

  async updateNamedEntity(request: NamedEntityUpdateRequest): Promise<NamedEntityUpdateResponse> {
    await this.names.update(request);
    return {};
  }
}
