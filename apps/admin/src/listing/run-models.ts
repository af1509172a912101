import { text, integer, boolean, timestamp, duration, nullable, reference } from './list-columns.js';
import type { Join, LeadingJoin, ListColumn, ListModel } from './list-model.js';
import { launchPlanModel, taskModel, workflowModel } from './registry-models.js';

/** What Flyte's rows below a run repeat of its identifier (A-193). */
const executionColumns = (alias: string): Record<string, ListColumn> => {
  const of = (column: string) => text(`(SELECT o.${column} FROM executions o WHERE o.id = ${alias}.execution_id)`);
  return { execution_project: of('project'), execution_domain: of('domain'), execution_name: of('name') };
};

const executionTagModel = (entity: string): ListModel => ({
  entity,
  table: 'execution_tags',
  alias: 'g',
  // `admin_tag.name` is what `execution_tag.key` is (A-193).
  columns: { key: text('g.key'), value: text('g.value'), name: text('g.key') },
  joins: {},
  tieBreaker: 'g.key',
});
const tagModels = {
  execution_tag: executionTagModel('execution_tag'),
  admin_tag: executionTagModel('admin_tag'),
  execution_admin_tag: executionTagModel('execution_admin_tag'),
};

const executionTags = (model: ListModel): Join => ({
  model: () => model,
  on: 'g.execution_id = e.id',
  leading: {
    on: 'g.execution_id = e.id AND g.org = e.org AND g.project = e.project AND g.domain = e.domain',
    order: { 'e.created_at': 'g.created_at', 'e.id': 'g.execution_id' },
    many: {
      key: ['key', 'name'],
      value: 'value',
      once: 'NOT EXISTS (SELECT 1 FROM execution_tags h WHERE h.execution_id = g.execution_id AND h.key = g.key AND h.value < g.value)',
    },
  },
});

/** Those of runs that have an error; a filter on them fits no other, whatever it says. */
const executionErrorModel: ListModel = {
  entity: 'execution',
  table: 'execution_errors',
  alias: 'r',
  columns: { error_kind: text('r.kind'), error_code: text('r.code'), error_message: text('r.message') },
  joins: {},
  tieBreaker: 'r.execution_id',
};

/** Simple inputs and outputs of runs that have any. */
const executionValueModel: ListModel = {
  entity: 'execution',
  table: 'execution_values',
  alias: 'v',
  columns: {},
  joins: {},
  values: { input: 'v.input_values', output: 'v.output_values' },
  tieBreaker: 'v.execution_id',
};

/** A table with a row of a run at most, and the run's place. */
const partOf = (model: ListModel): { model: ListModel; leading: LeadingJoin } => {
  const of = (column: string) => `${model.alias}.${column}`;
  return {
    model,
    leading: {
      on: `${of('execution_id')} = e.id AND ${['org', 'project', 'domain'].map((c) => `${of(c)} = e.${c}`).join(' AND ')}`,
      order: { 'e.created_at': of('created_at'), 'e.id': of('execution_id') },
    },
  };
};

export const executionModel: ListModel = {
  entity: 'execution',
  table: 'executions',
  alias: 'e',
  columns: {
    id: integer('e.id'),
    org: text('e.org'),
    project: text('e.project'),
    domain: text('e.domain'),
    name: text('e.name'),
    execution_org: text('e.org'),
    execution_project: text('e.project'),
    execution_domain: text('e.domain'),
    execution_name: text('e.name'),
    phase: text('e.phase'),
    state: integer('e.state'),
    mode: integer('e.mode'),
    started_at: nullable(timestamp('e.started_at')),
    created_at: timestamp('e.created_at'),
    updated_at: timestamp('e.updated_at'),
    execution_created_at: timestamp('e.created_at'),
    execution_updated_at: timestamp('e.updated_at'),
    duration: nullable(duration('e.duration_ns')),
    error_kind: nullable(text('e.error_kind')),
    error_code: nullable(text('e.error_code')),
    error_message: nullable(text('e.error_message')),
    abort_cause: nullable(text('e.abort_cause')),
    user: text('e.principal'),
    principal: text('e.principal'),
    cluster: text('e.cluster'),
    launch_entity: text('e.launch_entity'),
    parent_node_execution_id: nullable(text('e.parent_node_id')),
  },
  joins: {
    launch_plan: {
      model: () => launchPlanModel,
      on:
        'l.org = e.org AND l.project = e.launch_plan_project AND l.domain = e.launch_plan_domain ' +
        'AND l.name = e.launch_plan_name AND l.version = e.launch_plan_version',
      own: reference('e', 'launch_plan'),
    },
    workflow: {
      model: () => workflowModel,
      on:
        'w.org = e.org AND w.project = e.workflow_project AND w.domain = e.workflow_domain ' +
        'AND w.name = e.workflow_name AND w.version = e.workflow_version',
      own: reference('e', 'workflow'),
    },
    task: {
      model: () => taskModel,
      on:
        't.org = e.org AND t.project = e.task_project AND t.domain = e.task_domain ' +
        'AND t.name = e.task_name AND t.version = e.task_version',
      own: reference('e', 'task'),
    },
    execution_tag: executionTags(tagModels.execution_tag),
    admin_tag: executionTags(tagModels.admin_tag),
    execution_admin_tag: executionTags(tagModels.execution_admin_tag),
  },
  parts: [partOf(executionErrorModel), partOf(executionValueModel)],
  values: { input: 'e.input_values', output: 'e.output_values' },
  tieBreaker: 'e.id',
};

export const nodeExecutionModel: ListModel = {
  entity: 'node_execution',
  table: 'node_executions',
  alias: 'n',
  columns: {
    id: integer('n.id'),
    ...executionColumns('n'),
    node_id: text('n.node_id'),
    spec_node_id: text('n.spec_node_id'),
    phase: text('n.phase'),
    parent_id: nullable(text('n.parent_node_id')),
    input_uri: text('n.input_uri'),
    started_at: nullable(timestamp('n.started_at')),
    created_at: timestamp('n.created_at'),
    updated_at: timestamp('n.updated_at'),
    node_execution_created_at: timestamp('n.created_at'),
    node_execution_updated_at: timestamp('n.updated_at'),
    duration: nullable(duration('n.duration_ns')),
    error_kind: nullable(text('n.error_kind')),
    error_code: nullable(text('n.error_code')),
    cache_status: nullable(text('n.cache_status')),
    is_parent: boolean('n.is_parent'),
    is_dynamic: boolean('n.is_dynamic'),
    is_array: boolean('n.is_array'),
  },
  joins: { execution: { model: () => executionModel, on: 'e.id = n.execution_id' } },
  tieBreaker: 'n.id',
};

export const taskExecutionModel: ListModel = {
  entity: 'task_execution',
  table: 'task_executions',
  alias: 'x',
  columns: {
    id: integer('x.id'),
    ...executionColumns('x'),
    node_id: text('x.node_id'),
    project: text('x.task_project'),
    domain: text('x.task_domain'),
    name: text('x.task_name'),
    version: text('x.task_version'),
    retry_attempt: integer('x.retry_attempt'),
    phase: text('x.phase'),
    phase_version: integer('x.phase_version'),
    task_type: text('x.task_type'),
    input_uri: text('x.input_uri'),
    started_at: nullable(timestamp('x.started_at')),
    created_at: timestamp('x.created_at'),
    updated_at: timestamp('x.updated_at'),
    task_execution_created_at: timestamp('x.created_at'),
    task_execution_updated_at: timestamp('x.updated_at'),
    duration: nullable(duration('x.duration_ns')),
    error_kind: nullable(text('x.error_kind')),
    error_code: nullable(text('x.error_code')),
  },
  joins: {
    task: {
      model: () => taskModel,
      on:
        't.org = x.task_org AND t.project = x.task_project AND t.domain = x.task_domain ' +
        'AND t.name = x.task_name AND t.version = x.task_version',
    },
    execution: { model: () => executionModel, on: 'e.id = x.execution_id' },
    node_execution: {
      model: () => nodeExecutionModel,
      on: 'n.execution_id = x.execution_id AND n.node_id = x.node_id',
    },
  },
  tieBreaker: 'x.id',
};

export const signalModel: ListModel = {
  entity: 'signal',
  table: 'signals',
  alias: 's',
  columns: {
    id: integer('s.id'),
    ...executionColumns('s'),
    signal_id: text('s.signal_id'),
    created_at: timestamp('s.created_at'),
    updated_at: timestamp('s.updated_at'),
  },
  joins: { execution: { model: () => executionModel, on: 'e.id = s.execution_id' } },
  tieBreaker: 's.id',
};
