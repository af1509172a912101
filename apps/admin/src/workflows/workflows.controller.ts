import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type {
  NamedEntityIdentifierList,
  NamedEntityIdentifierListRequest,
  ObjectGetRequest,
  ResourceListRequest,
} from '@aloft/idl/flyteidl/admin/common';
import type {
  Workflow,
  WorkflowCreateRequest,
  WorkflowCreateResponse,
  WorkflowList,
} from '@aloft/idl/flyteidl/admin/workflow';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { Inject } from '@nestjs/common';
import { NamedEntitiesService } from '../named-entities/named-entities.service.js';
import { fieldBytes } from '../registry/original-bytes.js';
import { warnOfVersion } from '../registry/version-warning.js';
import { WorkflowsService } from './workflows.service.js';

type Served = 'createWorkflow' | 'getWorkflow' | 'listWorkflows' | 'listWorkflowIds';

const specField = 2;

@GrpcController(AdminServiceService)
export class WorkflowsController implements Pick<Handlers<typeof AdminServiceService>, Served> {
  constructor(
    @Inject(WorkflowsService) private readonly workflows: WorkflowsService,
    @Inject(NamedEntitiesService) private readonly names: NamedEntitiesService,
  ) {}

  async createWorkflow(request: WorkflowCreateRequest, call: CallContext): Promise<WorkflowCreateResponse> {
    await this.workflows.create(request, fieldBytes(call.requestBytes, specField));
    warnOfVersion(call, request.id);
    return {};
  }

  getWorkflow({ id }: ObjectGetRequest): Promise<Workflow> {
    return this.workflows.get(id);
  }

  listWorkflows(request: ResourceListRequest): Promise<WorkflowList> {
    return this.workflows.list(request);
  }

  listWorkflowIds(request: NamedEntityIdentifierListRequest): Promise<NamedEntityIdentifierList> {
    return this.names.listIds(ResourceType.WORKFLOW, request);
  }
}
