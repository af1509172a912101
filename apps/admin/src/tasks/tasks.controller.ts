import { GrpcController, type CallContext, type Encoded, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type {
  NamedEntityIdentifierList,
  NamedEntityIdentifierListRequest,
  ObjectGetRequest,
  ResourceListRequest,
} from '@aloft/idl/flyteidl/admin/common';
import type { Task, TaskCreateRequest, TaskCreateResponse, TaskList } from '@aloft/idl/flyteidl/admin/task';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { Inject } from '@nestjs/common';
import { NamedEntitiesService } from '../named-entities/named-entities.service.js';
import { fieldBytes } from '../registry/original-bytes.js';
import { warnOfVersion } from '../registry/version-warning.js';
import { TasksService } from './tasks.service.js';

const specField = 2;

@GrpcController(AdminServiceService)
export class TasksController implements Pick<
  Handlers<typeof AdminServiceService>,
  'createTask' | 'getTask' | 'listTasks' | 'listTaskIds'
> {
  constructor(
    @Inject(TasksService) private readonly tasks: TasksService,
    @Inject(NamedEntitiesService) private readonly names: NamedEntitiesService,
  ) {}

  async createTask(request: TaskCreateRequest, call: CallContext): Promise<TaskCreateResponse> {
    await this.tasks.create(request, fieldBytes(call.requestBytes, specField));
    warnOfVersion(call, request.id);
    return {};
  }

  getTask({ id }: ObjectGetRequest): Promise<Task> {
    return this.tasks.get(id);
  }

  listTasks(request: ResourceListRequest): Promise<Encoded<TaskList>> {
    return this.tasks.list(request);
  }

  listTaskIds(request: NamedEntityIdentifierListRequest): Promise<NamedEntityIdentifierList> {
    return this.names.listIds(ResourceType.TASK, request);
  }
}
