import { Argument, Command } from 'commander';
import { Execution } from '@aloft/idl/flyteidl/admin/execution';
import { LaunchPlan, LaunchPlanState } from '@aloft/idl/flyteidl/admin/launch_plan';
import { NodeExecution } from '@aloft/idl/flyteidl/admin/node_execution';
import { Project } from '@aloft/idl/flyteidl/admin/project';
import { Task } from '@aloft/idl/flyteidl/admin/task';
import { Workflow } from '@aloft/idl/flyteidl/admin/workflow';
import { Sort_Direction } from '@aloft/idl/flyteidl/admin/common';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import { NodeExecution_Phase, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { colourPhase, formatDuration, formatTime, messageJson, millisecondsOf, table } from '../output.js';
import { UsageError } from '../failure.js';
import { executionId, within, withGlobalOptions, type CommandContext } from './context.js';

interface Options {
  limit: string;
  token?: string;
  filter?: string;
  all?: boolean;
}

const kinds = ['projects', 'tasks', 'workflows', 'launch-plans', 'executions', 'nodes'] as const;

export function getCommand(): Command {
  return withGlobalOptions(new Command('get'))
    .description('list what the platform has')
    .addArgument(new Argument('<kind>', 'what to list').choices(kinds))
    .argument('[name]', 'only this one; for nodes: the execution')
    .option('-l, --limit <n>', 'at most so many', '20')
    .option('--token <token>', 'continue where an earlier list ended')
    .option('--filter <filter>', "Flyte's filter expression, e.g. 'eq(phase,FAILED)'")
    .action(async (kind: (typeof kinds)[number], name: string | undefined, options: Options, command: Command) => {
      const limit = Number(options.limit);
      if (!Number.isInteger(limit) || limit < 1)
        throw new UsageError(`--limit must be a whole number from 1, but it is ${options.limit}.`);
      await within(command, async (context) => lists[kind](context, name, { ...options, limit }));
    });
}

type Listing = (
  context: CommandContext,
  name: string | undefined,
  options: Omit<Options, 'limit'> & { limit: number },
) => Promise<void>;

const page = (
  { target }: CommandContext,
  name: string | undefined,
  options: { limit: number; token?: string; filter?: string },
) => ({
  id: { org: '', project: target.project, domain: target.domain, name: name ?? '' },
  limit: options.limit,
  token: options.token ?? '',
  filters: options.filter ?? '',
  sortBy: { key: 'created_at', direction: Sort_Direction.DESCENDING },
});

const more = ({ output }: CommandContext, token: string): void => {
  if (token && !output.isJson) output.say(`More: --token ${token}`);
};

const entityRow = (id: Identifier | undefined): string[] => [id?.name ?? '', id?.version ?? ''];

const lists: Record<(typeof kinds)[number], Listing> = {
  async projects({ connection, output }, name, { limit, token = '', filter = '' }) {
    const { projects } = await connection.admin.listProjects({
      limit,
      token,
      filters: filter,
      sortBy: undefined,
      org: '',
    });
    const shown = projects.filter((project) => name === undefined || project.id === name);
    output.result(
      shown.map((project) => messageJson('flyteidl.admin.Project', Project, project)),
      table(
        ['project', 'domains', 'description'],
        shown.map((project) => [project.id, project.domains.map(({ id }) => id).join(', '), project.description]),
      ),
    );
  },
  async tasks(context, name, options) {
    const { tasks, token } = await context.connection.admin.listTasks(page(context, name, options));
    context.output.result(
      tasks.map((task) => messageJson('flyteidl.admin.Task', Task, task)),
      table(
        ['task', 'version', 'type', 'created'],
        tasks.map((task) => [
          ...entityRow(task.id),
          task.closure?.compiledTask?.template?.type ?? '',
          formatTime(task.closure?.createdAt),
        ]),
      ),
    );
    more(context, token);
  },
  async workflows(context, name, options) {
    const { workflows, token } = await context.connection.admin.listWorkflows(page(context, name, options));
    context.output.result(
      workflows.map((workflow) => messageJson('flyteidl.admin.Workflow', Workflow, workflow)),
      table(
        ['workflow', 'version', 'created'],
        workflows.map((workflow) => [...entityRow(workflow.id), formatTime(workflow.closure?.createdAt)]),
      ),
    );
    more(context, token);
  },
  async 'launch-plans'(context, name, options) {
    const { launchPlans, token } = await context.connection.admin.listLaunchPlans(page(context, name, options));
    context.output.result(
      launchPlans.map((plan) => messageJson('flyteidl.admin.LaunchPlan', LaunchPlan, plan)),
      table(
        ['launch plan', 'version', 'workflow', 'state', 'created'],
        launchPlans.map((plan) => [
          ...entityRow(plan.id),
          plan.spec?.workflowId?.name ?? '',
          LaunchPlanState[plan.closure?.state ?? 0]?.toLowerCase() ?? '',
          formatTime(plan.closure?.createdAt),
        ]),
      ),
    );
    more(context, token);
  },
  async executions(context, name, options) {
    const { connection, output, target } = context;
    const found =
      name === undefined
        ? await connection.admin.listExecutions(page(context, undefined, options))
        : { executions: [await connection.admin.getExecution({ id: executionId(target, name) })], token: '' };
    output.result(
      found.executions.map((execution) => messageJson('flyteidl.admin.Execution', Execution, execution)),
      table(
        ['execution', 'phase', 'launch plan', 'started', 'took'],
        found.executions.map(({ id, spec, closure }) => [
          id?.name ?? '',
          colourPhase(WorkflowExecution_Phase[closure?.phase ?? 0] ?? ''),
          spec?.launchPlan?.name ?? '',
          formatTime(closure?.startedAt ?? closure?.createdAt),
          closure?.duration ? formatDuration(millisecondsOf(closure.duration)) : '',
        ]),
      ),
    );
    more(context, found.token);
  },
  async nodes({ connection, output, target, ...context }, name, options) {
    if (name === undefined) throw new UsageError('Which execution? aloft get nodes <execution>');
    const list = (uniqueParentId: string, token = options.token ?? '') =>
      connection.admin.listNodeExecutions({
        workflowExecutionId: executionId(target, name),
        limit: options.limit,
        token,
        filters: options.filter ?? '',
        sortBy: { key: 'created_at', direction: Sort_Direction.ASCENDING },
        uniqueParentId,
      });
    const { nodeExecutions: top, token } = await list('');
    const withChildren = async (nodes: NodeExecution[]): Promise<NodeExecution[]> => {
      const families = nodes.map(async (node) => {
        if (!node.metadata?.isParentNode || !node.id) return [node];
        return [node, ...(await withChildren((await list(node.id.nodeId, '')).nodeExecutions))];
      });
      return (await Promise.all(families)).flat();
    };
    const nodeExecutions = await withChildren(top);
    output.result(
      nodeExecutions.map((node) => messageJson('flyteidl.admin.NodeExecution', NodeExecution, node)),
      table(
        ['node', 'phase', 'catalog', 'took'],
        nodeExecutions.map(({ id, closure }) => [
          id?.nodeId ?? '',
          colourPhase(NodeExecution_Phase[closure?.phase ?? 0] ?? ''),
          closure?.targetMetadata?.$case === 'taskNodeMetadata'
            ? CatalogCacheStatus[closure.targetMetadata.value.cacheStatus]!.replace(/^CACHE_/, '').toLowerCase()
            : '',
          closure?.duration ? formatDuration(millisecondsOf(closure.duration)) : '',
        ]),
      ),
    );
    more({ connection, output, target, ...context }, token);
  },
};
