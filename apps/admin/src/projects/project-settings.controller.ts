import { GrpcController, type Handlers } from '@aloft/rpc';
import {
  ProjectSettingsServiceService,
  type GetProjectSettingsRequest,
  type ProjectSettings,
  type UpdateProjectSettingsRequest,
} from '@aloft/idl/aloft/v1/project_settings';
import { Inject } from '@nestjs/common';
import { ProjectSettingsService } from './project-settings.service.js';

@GrpcController(ProjectSettingsServiceService)
export class ProjectSettingsController implements Handlers<typeof ProjectSettingsServiceService> {
  constructor(@Inject(ProjectSettingsService) private readonly settings: ProjectSettingsService) {}

  getProjectSettings(request: GetProjectSettingsRequest): Promise<ProjectSettings> {
    return this.settings.get(request);
  }

  updateProjectSettings(request: UpdateProjectSettingsRequest): Promise<ProjectSettings> {
    return this.settings.update(request);
  }
}
