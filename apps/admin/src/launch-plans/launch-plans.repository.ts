import type { EntityManager } from 'typeorm';
import { launchPlanModel } from '../listing/registry-models.js';
import { LaunchPlanRow } from '../registry/entities.js';
import type { EntityKey, NameKey } from '../registry/identifiers.js';
import { VersionedRepository } from '../registry/versioned.repository.js';

export const activeState = 1;

/** I/O on the table of launch plans. */
export class LaunchPlansRepository extends VersionedRepository<LaunchPlanRow> {
  constructor() {
    super(
      LaunchPlanRow,
      launchPlanModel,
      ['name', 'version', 'spec', 'expected_inputs', 'expected_outputs', 'state', 'created_at', 'updated_at'],
      {
        ...({
          workflowProject: 'text',
          workflowDomain: 'text',
          workflowName: 'text',
          workflowVersion: 'text',
        } as const),
        ...({ digest: 'bytea', original: 'bytea', spec: 'bytea', expectedInputs: 'bytea' } as const),
        ...({ expectedOutputs: 'bytea', state: 'smallint', scheduleType: 'text', shortDescription: 'text' } as const),
      },
    );
  }

  findActive(manager: EntityManager, { org, project, domain, name }: NameKey): Promise<LaunchPlanRow | null> {
    return manager.findOneBy(LaunchPlanRow, { org, project, domain, name, state: activeState });
  }

  /**
   * Makes one version the active one; returns the former one, if there was another. Activations of one name wait for each
   * other, so that two at once end with the later one active and neither fails.
   */
  async activate(manager: EntityManager, key: EntityKey): Promise<EntityKey | undefined> {
    const { org, project, domain, name, version } = key;
    await manager.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 33))', [
      JSON.stringify([org, project, domain, name]),
    ]);
    const former = await this.findActive(manager, key);
    if (former?.version === version) return undefined;
    if (former) await this.setState(manager, { org, project, domain, name, version: former.version }, 0);
    await this.setState(manager, key, activeState);
    return former ? { org, project, domain, name, version: former.version } : undefined;
  }

  async setState(manager: EntityManager, key: EntityKey, state: number): Promise<void> {
    const { org, project, domain, name, version } = key;
    await manager.update(LaunchPlanRow, { org, project, domain, name, version }, { state, updatedAt: () => 'now()' });
  }
}
