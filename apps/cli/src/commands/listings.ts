import { Sort_Direction } from '@aloft/idl/flyteidl/admin/common';
import { Execution, ExecutionState } from '@aloft/idl/flyteidl/admin/execution';
import { LaunchPlan, LaunchPlanState } from '@aloft/idl/flyteidl/admin/launch_plan';
import { NodeExecution } from '@aloft/idl/flyteidl/admin/node_execution';
import { Project, Project_ProjectState } from '@aloft/idl/flyteidl/admin/project';
import { Task } from '@aloft/idl/flyteidl/admin/task';
import { Workflow } from '@aloft/idl/flyteidl/admin/workflow';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import { NodeExecution_Phase, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { notFound } from '@aloft/errors';
import type { Command } from 'commander';
import { UsageError } from '../failure.js';
import { colourPhase, formatDuration, formatTime, messageJson, millisecondsOf, table } from '../output.js';
import { executionId, type CommandContext } from './context.js';

export interface PageOptions {
  limit: string;
  token?: string;
  filter?: string;
  sort?: string;
}

export interface Page {
  limit: number;
  token: string;
  filters: string;
  sortBy: { key: string; direction: Sort_Direction } | undefined;
}

/** The options of everything that lists. */
export function withPageOptions(command: Command): Command {
  return command
    .option('-l, --limit <n>', 'at most so many', '20')
    .option('--token <token>', 'continue where an earlier list ended')
    .option('--filter <filter>', "Flyte's filter expression, e.g. 'eq(phase,FAILED)+contains(name,train)'")
    .option('--sort <field[:asc]>', 'order by this field, descending unless said otherwise');
}

export function pageOf({ limit, token = '', filter = '', sort }: PageOptions): Page {
  const number = Number(limit);
  if (!Number.isInteger(number) || number < 1)
    throw new UsageError(`--limit must be a whole number from 1, but it is ${limit}.`);
  const [key = '', direction = 'desc'] = (sort ?? 'created_at').split(':');
  if (key === '' || (direction !== 'asc' && direction !== 'desc'))
    throw new UsageError(`--sort must be a field, field:asc or field:desc, but it is ${sort}.`);
  const order = direction === 'asc' ? Sort_Direction.ASCENDING : Sort_Direction.DESCENDING;
  return { limit: number, token, filters: filter, sortBy: { key, direction: order } };
}

/** Rows for people, messages for programs. */
export interface Listing {
  json: unknown[];
  head: string[];
  rows: string[][];
  token: string;
}

/** Of one name if there is one; `parent`: whose, where that is needed. */
export type Lister = (context: CommandContext, name: string | undefined, page: Page) => Promise<Listing>;

export function show({ output }: CommandContext, { json, head, rows, token }: Listing): void {
  output.result(json, table(head, rows));
  if (token && !output.isJson) output.say(`More: --token ${token}`);
}

/** As {@link show}; a name that was asked for and isn't there is NOT_FOUND. */
export function showNamed(
  context: CommandContext,
  noun: string,
  name: string | undefined,
  listing: Listing,
  page: Page,
): void {
  if (name !== undefined && listing.json.length === 0 && page.token === '') {
    const { project, domain } = context.target;
    const which = page.filters === '' ? '' : ` that fits ${page.filters}`;
    throw notFound(`There is no ${noun} '${name}'${which}${noun === 'project' ? '' : ` in ${project}/${domain}`}.`);
  }
  show(context, listing);
}

const scoped = ({ target }: CommandContext, name: string | undefined, page: Page) => ({
  id: { org: '', project: target.project, domain: target.domain, name: name ?? '' },
  ...page,
});
const versioned = (id: Identifier | undefined): string[] => [id?.name ?? '', id?.version ?? ''];

export const projectRow = (project: Project): string[] => [
  project.id,
  Project_ProjectState[project.state]?.toLowerCase() ?? '',
  project.domains.map(({ id }) => id).join(', '),
  project.description,
];
export const projectHead = ['project', 'state', 'domains', 'description'];
export const projectJson = (project: Project) => messageJson('flyteidl.admin.Project', Project, project);

export const listProjects: Lister = async ({ connection }, name, { limit, token, filters }) => {
  const answer = await connection.admin.listProjects({ limit, token, filters, sortBy: undefined, org: '' });
  const found = answer.projects.filter(({ id }) => name === undefined || id === name);
  // Beyond the first page, or archived.
  const projects =
    name !== undefined && found.length === 0 ? [await connection.admin.getProject({ id: name, org: '' })] : found;
  return { json: projects.map(projectJson), head: projectHead, rows: projects.map(projectRow), token: answer.token };
};

export const taskJson = (task: Task) => messageJson('flyteidl.admin.Task', Task, task);
export const listTasks: Lister = async (context, name, page) => {
  const { tasks, token } = await context.connection.admin.listTasks(scoped(context, name, page));
  const rows = tasks.map((task) => [
    ...versioned(task.id),
    task.closure?.compiledTask?.template?.type ?? '',
    formatTime(task.closure?.createdAt),
  ]);
  return { json: tasks.map(taskJson), head: ['task', 'version', 'type', 'created'], rows, token };
};

export const workflowJson = (workflow: Workflow) => messageJson('flyteidl.admin.Workflow', Workflow, workflow);
export const listWorkflows: Lister = async (context, name, page) => {
  const { workflows, token } = await context.connection.admin.listWorkflows(scoped(context, name, page));
  const rows = workflows.map((workflow) => [...versioned(workflow.id), formatTime(workflow.closure?.createdAt)]);
  return { json: workflows.map(workflowJson), head: ['workflow', 'version', 'created'], rows, token };
};

export const planJson = (plan: LaunchPlan) => messageJson('flyteidl.admin.LaunchPlan', LaunchPlan, plan);
export const listLaunchPlans: Lister = async (context, name, page) => {
  const { launchPlans, token } = await context.connection.admin.listLaunchPlans(scoped(context, name, page));
  const rows = launchPlans.map((plan) => [
    ...versioned(plan.id),
    plan.spec?.workflowId?.name ?? '',
    LaunchPlanState[plan.closure?.state ?? 0]?.toLowerCase() ?? '',
    formatTime(plan.closure?.createdAt),
  ]);
  return {
    json: launchPlans.map(planJson),
    head: ['launch plan', 'version', 'workflow', 'state', 'created'],
    rows,
    token,
  };
};

export const executionJson = (execution: Execution) => messageJson('flyteidl.admin.Execution', Execution, execution);
export const listExecutions: Lister = async ({ connection, target }, name, page) => {
  const found =
    name === undefined
      ? await connection.admin.listExecutions({
          id: { org: '', project: target.project, domain: target.domain, name: '' },
          ...page,
        })
      : { executions: [await connection.admin.getExecution({ id: executionId(target, name) })], token: '' };
  const rows = found.executions.map(({ id, spec, closure }) => [
    id?.name ?? '',
    colourPhase(WorkflowExecution_Phase[closure?.phase ?? 0] ?? '') +
      (closure?.stateChangeDetails?.state === ExecutionState.EXECUTION_ARCHIVED ? ' (archived)' : ''),
    spec?.launchPlan?.name ?? '',
    formatTime(closure?.startedAt ?? closure?.createdAt),
    closure?.duration ? formatDuration(millisecondsOf(closure.duration)) : '',
  ]);
  return {
    json: found.executions.map(executionJson),
    head: ['execution', 'phase', 'launch plan', 'started', 'took'],
    rows,
    token: found.token,
  };
};

/** Nodes of an execution, at every depth. */
export const listNodes: Lister = async ({ connection, target }, name, page) => {
  if (name === undefined) throw new UsageError('Which execution?', 'aloft execution nodes <execution>');
  const list = (uniqueParentId: string, token: string) =>
    connection.admin.listNodeExecutions({
      workflowExecutionId: executionId(target, name),
      ...page,
      token,
      sortBy: { key: 'created_at', direction: Sort_Direction.ASCENDING },
      uniqueParentId,
    });
  const { nodeExecutions: top, token } = await list('', page.token);
  const withChildren = async (nodes: NodeExecution[]): Promise<NodeExecution[]> => {
    const families = nodes.map(async (node) => {
      if (!node.metadata?.isParentNode || !node.id) return [node];
      return [node, ...(await withChildren((await list(node.id.nodeId, '')).nodeExecutions))];
    });
    return (await Promise.all(families)).flat();
  };
  const nodes = await withChildren(top);
  const rows = nodes.map(({ id, closure }) => [
    id?.nodeId ?? '',
    colourPhase(NodeExecution_Phase[closure?.phase ?? 0] ?? ''),
    closure?.targetMetadata?.$case === 'taskNodeMetadata'
      ? CatalogCacheStatus[closure.targetMetadata.value.cacheStatus]!.replace(/^CACHE_/, '').toLowerCase()
      : '',
    closure?.duration ? formatDuration(millisecondsOf(closure.duration)) : '',
  ]);
  return {
    json: nodes.map((node) => messageJson('flyteidl.admin.NodeExecution', NodeExecution, node)),
    head: ['node', 'phase', 'catalog', 'took'],
    rows,
    token,
  };
};
