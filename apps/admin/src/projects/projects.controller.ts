import { GrpcController, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type {
  GetDomainRequest,
  GetDomainsResponse,
  Project,
  ProjectGetRequest,
  ProjectListRequest,
  ProjectRegisterRequest,
  ProjectRegisterResponse,
  Projects,
  ProjectUpdateResponse,
} from '@aloft/idl/flyteidl/admin/project';
import { Inject } from '@nestjs/common';
import { ProjectsService } from './projects.service.js';

type Served = 'registerProject' | 'updateProject' | 'listProjects' | 'getProject' | 'getDomains';

@GrpcController(AdminServiceService)
export class ProjectsController implements Pick<Handlers<typeof AdminServiceService>, Served> {
  constructor(@Inject(ProjectsService) private readonly projects: ProjectsService) {}

  async registerProject({ project }: ProjectRegisterRequest): Promise<ProjectRegisterResponse> {
    await this.projects.register(project);
    return {};
  }

  async updateProject(project: Project): Promise<ProjectUpdateResponse> {
    await this.projects.update(project);
    return {};
  }

  listProjects(request: ProjectListRequest): Promise<Projects> {
    return this.projects.list(request);
  }

  getProject({ id, org }: ProjectGetRequest): Promise<Project> {
    return this.projects.get(org, id);
  }

  async getDomains(_request: GetDomainRequest): Promise<GetDomainsResponse> {
    return { domains: this.projects.domains };
  }
}
