import { isUniqueViolation } from '@aloft/database';
import { alreadyExists } from '@aloft/errors';
import type { EntityManager } from 'typeorm';
import { projectModel } from '../listing/registry-models.js';
import { compileList, SqlParameters, type ListRequest } from '../listing/list-query.js';
import { toRegistryError } from '../registry/registry-error.js';
import { ProjectRow, type ExecutionEngineName } from '../registry/entities.js';

export type ProjectValues = Pick<ProjectRow, 'org' | 'identifier' | 'name' | 'description' | 'labels' | 'state'>;

const archived = 1;

/** I/O on the table of projects. */
export class ProjectsRepository {
  find(manager: EntityManager, org: string, identifier: string): Promise<ProjectRow | null> {
    return manager.findOneBy(ProjectRow, { org, identifier });
  }

  /** ALREADY_EXISTS if the id is taken. */
  async insert(manager: EntityManager, project: ProjectValues): Promise<void> {
    try {
      await manager.insert(ProjectRow, project);
    } catch (thrown) {
      const error = toRegistryError(thrown);
      if (isUniqueViolation(error)) throw alreadyExists(`project.id: project "${project.identifier}" exists already`);
      throw error;
    }
  }

  async update(
    manager: EntityManager,
    project: Partial<ProjectValues> & Pick<ProjectValues, 'org' | 'identifier'>,
  ): Promise<boolean> {
    const { org, identifier, ...changes } = project;
    const { affected } = await manager.update(
      ProjectRow,
      { org, identifier },
      { ...changes, updatedAt: () => 'now()' },
    );
    return (affected ?? 0) > 0;
  }

  /** `false` if there is no such project. */
  async setEngine(
    manager: EntityManager,
    org: string,
    identifier: string,
    engine: ExecutionEngineName | null,
  ): Promise<boolean> {
    const changes = { engine, updatedAt: () => 'now()' };
    return ((await manager.update(ProjectRow, { org, identifier }, changes)).affected ?? 0) > 0;
  }

  /** Without filters everything but archived ones; limit 0 gives all. */
  async list(
    manager: EntityManager,
    org: string,
    request: ListRequest,
  ): Promise<{ rows: ProjectRow[]; token: string }> {
    const parameters = new SqlParameters();
    const where = [`p.org = ${parameters.add(org)}`];
    if (request.filters === '') where.push(`p.state <> ${archived}`);
    const list = compileList({ model: projectModel, request, parameters, where, unlimited: true });
    const rows: ProjectRow[] = await manager.query(`SELECT p.* ${list.tail}`, parameters.values);
    return { rows, token: list.nextToken(rows.length) };
  }
}
