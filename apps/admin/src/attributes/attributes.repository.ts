import type { EntityManager } from 'typeorm';
import { AttributesRow } from '../registry/entities.js';

/** Where a row of attributes applies; empty text = any. */
export interface AttributeScope {
  org: string;
  project: string;
  domain: string;
  workflow: string;
  launchPlan: string;
}

/** I/O on the table of matchable attributes. */
export class AttributesRepository {
  /** Every row that may apply in a project, most specific first. */
  ofProject(manager: EntityManager, org: string, project: string): Promise<AttributesRow[]> {
    return manager.find(AttributesRow, {
      where: [
        { org, project },
        { org, project: '' },
      ],
      order: { priority: 'DESC' },
    });
  }

  find(manager: EntityManager, resourceType: number, scope: AttributeScope): Promise<AttributesRow | null> {
    return manager.findOneBy(AttributesRow, { ...scope, resourceType });
  }

  async upsert(manager: EntityManager, row: AttributesRow): Promise<void> {
    await manager.upsert(AttributesRow, row, ['org', 'resourceType', 'project', 'domain', 'workflow', 'launchPlan']);
  }

  async delete(manager: EntityManager, resourceType: number, scope: AttributeScope): Promise<boolean> {
    const { affected } = await manager.delete(AttributesRow, { ...scope, resourceType });
    return (affected ?? 0) > 0;
  }

  list(manager: EntityManager, org: string, resourceType: number): Promise<AttributesRow[]> {
    return manager.find(AttributesRow, {
      where: { org, resourceType },
      order: { project: 'ASC', domain: 'ASC', workflow: 'ASC', launchPlan: 'ASC' },
    });
  }
}
