import { invalidArgument } from '@aloft/errors';
import { GrpcController, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type {
  ListMatchableAttributesRequest,
  ListMatchableAttributesResponse,
} from '@aloft/idl/flyteidl/admin/matchable_resource';
import type {
  ProjectAttributesDeleteRequest,
  ProjectAttributesDeleteResponse,
  ProjectAttributesGetRequest,
  ProjectAttributesGetResponse,
  ProjectAttributesUpdateRequest,
  ProjectAttributesUpdateResponse,
} from '@aloft/idl/flyteidl/admin/project_attributes';
import type {
  ProjectDomainAttributesDeleteRequest,
  ProjectDomainAttributesDeleteResponse,
  ProjectDomainAttributesGetRequest,
  ProjectDomainAttributesGetResponse,
  ProjectDomainAttributesUpdateRequest,
  ProjectDomainAttributesUpdateResponse,
} from '@aloft/idl/flyteidl/admin/project_domain_attributes';
import type {
  WorkflowAttributesDeleteRequest,
  WorkflowAttributesDeleteResponse,
  WorkflowAttributesGetRequest,
  WorkflowAttributesGetResponse,
  WorkflowAttributesUpdateRequest,
  WorkflowAttributesUpdateResponse,
} from '@aloft/idl/flyteidl/admin/workflow_attributes';
import { Inject } from '@nestjs/common';
import type { AttributeScope } from './attributes.repository.js';
import { AttributesService } from './attributes.service.js';

type Served =
  `${'update' | 'get' | 'delete'}${'Project' | 'ProjectDomain' | 'Workflow'}Attributes` | 'listMatchableAttributes';

const scopeOf = (named: { org: string; project: string; domain?: string; workflow?: string }): AttributeScope => ({
  org: named.org,
  project: named.project,
  domain: named.domain ?? '',
  workflow: named.workflow ?? '',
  launchPlan: '',
});

function given<T>(attributes: T | undefined): T {
  if (!attributes) throw invalidArgument('attributes: missing');
  return attributes;
}

@GrpcController(AdminServiceService)
export class AttributesController implements Pick<Handlers<typeof AdminServiceService>, Served> {
  constructor(@Inject(AttributesService) private readonly attributes: AttributesService) {}

  async updateProjectAttributes(request: ProjectAttributesUpdateRequest): Promise<ProjectAttributesUpdateResponse> {
    const attributes = given(request.attributes);
    await this.attributes.update(scopeOf(attributes), attributes.matchingAttributes);
    return {};
  }

  async getProjectAttributes(request: ProjectAttributesGetRequest): Promise<ProjectAttributesGetResponse> {
    const { org, project, resourceType } = request;
    const matchingAttributes = await this.attributes.getOfProject(org, project, resourceType);
    return { attributes: { org, project, matchingAttributes } };
  }

  async deleteProjectAttributes(request: ProjectAttributesDeleteRequest): Promise<ProjectAttributesDeleteResponse> {
    await this.attributes.delete(scopeOf(request), request.resourceType);
    return {};
  }

  async updateProjectDomainAttributes(
    request: ProjectDomainAttributesUpdateRequest,
  ): Promise<ProjectDomainAttributesUpdateResponse> {
    const attributes = given(request.attributes);
    await this.attributes.update(scopeOf(attributes), attributes.matchingAttributes);
    return {};
  }

  async getProjectDomainAttributes(
    request: ProjectDomainAttributesGetRequest,
  ): Promise<ProjectDomainAttributesGetResponse> {
    const { org, project, domain, resourceType } = request;
    const matchingAttributes = await this.attributes.get(scopeOf(request), resourceType);
    return { attributes: { org, project, domain, matchingAttributes } };
  }

  async deleteProjectDomainAttributes(
    request: ProjectDomainAttributesDeleteRequest,
  ): Promise<ProjectDomainAttributesDeleteResponse> {
    await this.attributes.delete(scopeOf(request), request.resourceType);
    return {};
  }

  async updateWorkflowAttributes(request: WorkflowAttributesUpdateRequest): Promise<WorkflowAttributesUpdateResponse> {
    const attributes = given(request.attributes);
    await this.attributes.update(scopeOf(attributes), attributes.matchingAttributes);
    return {};
  }

  async getWorkflowAttributes(request: WorkflowAttributesGetRequest): Promise<WorkflowAttributesGetResponse> {
    const { org, project, domain, workflow, resourceType } = request;
    const matchingAttributes = await this.attributes.get(scopeOf(request), resourceType);
    return { attributes: { org, project, domain, workflow, matchingAttributes } };
  }

  async deleteWorkflowAttributes(request: WorkflowAttributesDeleteRequest): Promise<WorkflowAttributesDeleteResponse> {
    await this.attributes.delete(scopeOf(request), request.resourceType);
    return {};
  }

  async listMatchableAttributes(request: ListMatchableAttributesRequest): Promise<ListMatchableAttributesResponse> {
    return { configurations: await this.attributes.list(request.org, request.resourceType) };
  }
}
