import { invalidArgument, notFound } from '@aloft/errors';
import {
  ExecutionEngine,
  type GetProjectSettingsRequest,
  type ProjectSettings,
  type UpdateProjectSettingsRequest,
} from '@aloft/idl/aloft/v1/project_settings';
import type { ExecutionEngineName } from '../registry/entities.js';
import { requirePart } from '../registry/identifiers.js';
import type { Registry } from '../registry/registry.js';
import type { ProjectsRepository } from './projects.repository.js';
import type { ProjectsService } from './projects.service.js';

/** Our own settings of projects: who runs their executions (design.md section 5). */
export class ProjectSettingsService {
  constructor(
    private readonly registry: Registry,
    private readonly rows: ProjectsRepository,
    private readonly projects: ProjectsService,
  ) {}

  async get({ org, project }: GetProjectSettingsRequest): Promise<ProjectSettings> {
    requirePart(project, 'project');
    const row = await this.rows.find(this.registry.read, org, project);
    if (!row) throw notFound(`there is no project ${JSON.stringify(project)}`);
    return this.toSettings(org, project, row.engine);
  }

  /** Executions that exist keep their engine. */
  async update({ org, project, engine }: UpdateProjectSettingsRequest): Promise<ProjectSettings> {
    requirePart(project, 'project');
    const name = engineNames.get(engine);
    if (name === undefined)
      throw invalidArgument(`engine: ${engine} is unknown; use ALOFT, EXTERNAL or EXECUTION_ENGINE_UNSPECIFIED`);
    if (!(await this.rows.setEngine(this.registry.read, org, project, name)))
      throw notFound(`there is no project ${JSON.stringify(project)}`);
    this.projects.forget(org, project);
    return this.toSettings(org, project, name);
  }

  private toSettings(org: string, project: string, engine: ExecutionEngineName | null): ProjectSettings {
    return {
      project,
      org,
      engine: engine === null ? ExecutionEngine.EXECUTION_ENGINE_UNSPECIFIED : ExecutionEngine[engine],
      effectiveEngine: ExecutionEngine[this.projects.engineOf(engine)],
    };
  }
}

const engineNames = new Map<ExecutionEngine, ExecutionEngineName | null>([
  [ExecutionEngine.EXECUTION_ENGINE_UNSPECIFIED, null],
  [ExecutionEngine.ALOFT, 'ALOFT'],
  [ExecutionEngine.EXTERNAL, 'EXTERNAL'],
]);
