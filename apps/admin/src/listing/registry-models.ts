import { text, integer, timestamp, reference, registryColumns } from './list-columns.js';
import type { ListColumn, ListModel } from './list-model.js';

export const taskModel: ListModel = {
  entity: 'task',
  table: 'tasks',
  alias: 't',
  columns: { ...registryColumns('t'), type: text('t.type') },
  joins: {},
  tieBreaker: 't.id',
};

export const workflowModel: ListModel = {
  entity: 'workflow',
  table: 'workflows',
  alias: 'w',
  columns: registryColumns('w'),
  joins: {},
  tieBreaker: 'w.id',
};

export const launchPlanModel: ListModel = {
  entity: 'launch_plan',
  table: 'launch_plans',
  alias: 'l',
  columns: {
    ...registryColumns('l'),
    state: integer('l.state'),
    schedule_type: text('l.schedule_type'),
  },
  joins: {
    workflow: {
      model: () => workflowModel,
      on:
        'w.org = l.org AND w.project = l.workflow_project AND w.domain = l.workflow_domain ' +
        'AND w.name = l.workflow_name AND w.version = l.workflow_version',
      own: reference('l', 'workflow'),
    },
  },
  tieBreaker: 'l.id',
};

const namedEntityColumns: Record<string, ListColumn> = {
  id: integer('ne.id'),
  org: text('ne.org'),
  project: text('ne.project'),
  domain: text('ne.domain'),
  name: text('ne.name'),
  description: text('ne.description'),
  state: integer('ne.state'),
  created_at: timestamp('ne.created_at'),
  updated_at: timestamp('ne.updated_at'),
};

/** Names and their metadata are one table here: a name's row exists from its first registration on. */
const namedEntityMetadataModel: ListModel = {
  entity: 'named_entity_metadata',
  table: 'named_entities',
  alias: 'ne',
  columns: namedEntityColumns,
  joins: {},
  tieBreaker: 'ne.id',
};

export const namedEntityModel: ListModel = {
  ...namedEntityMetadataModel,
  entity: 'entities',
  joins: { named_entity_metadata: { model: () => namedEntityMetadataModel, on: '' } },
};

export const projectModel: ListModel = {
  entity: 'project',
  table: 'projects',
  alias: 'p',
  columns: {
    id: text('p.identifier'),
    identifier: text('p.identifier'),
    org: text('p.org'),
    name: text('p.name'),
    description: text('p.description'),
    state: integer('p.state'),
    created_at: timestamp('p.created_at'),
    updated_at: timestamp('p.updated_at'),
  },
  joins: {},
  tieBreaker: 'p.identifier',
};

export const descriptionModel: ListModel = {
  entity: 'description_entity',
  table: 'descriptions',
  alias: 'd',
  columns: registryColumns('d'),
  joins: {},
  tieBreaker: 'd.id',
};
