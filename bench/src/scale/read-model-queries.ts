import { Sort_Direction } from '@aloft/idl/flyteidl/admin/common';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import type { BenchClient } from '../client.js';
import { domain, project } from '../shapes.js';

/** One call of a client; `goal`: milliseconds at the 99th percentile. */
export interface Query {
  name: string;
  goal: number;
  run(i: number): Promise<{ rows: number }>;
}

const goal = 50;
const goalOfContains = 250;
/** What is seldom asked and fits no index well: answered, or refused after `admin.limits.listMs`. */
const limit = 5_000;

interface Page {
  limit?: number;
  token?: string;
  sort?: string;
  ascending?: boolean;
}
type Filters = string | ((i: number) => string);
type Row = readonly [name: string, filters: Filters, page?: Page];

const team = (n: number) => `eq(execution_tag.key,team)+eq(execution_tag.value,team-${n})`;
const plan = (i: number) => `eq(launch_plan.name,plans.train_${4 * (i % 50)})`;
const workflow = (i: number) => `eq(workflow.name,flows.train_${4 * (i % 50)})`;

/** What the CLI, flytekit and consoles ask of the list of runs: common, rare, and what no run fits. */
const lists = (some: (i: number) => string): readonly Row[] => [
  ['newest 20', ''],
  ['newest 100', '', { limit: 100 }],
  ['page 50 of 100', '', { limit: 100, token: '5000' }],
  ['oldest first', '', { ascending: true }],
  ['longest', '', { sort: 'duration' }],
  ['by name', (i) => `eq(execution_name,${some(i)})`],
  ['failed', 'eq(phase,FAILED)'],
  ['unfinished', 'value_in(phase,RUNNING;QUEUED)'],
  ['failed or aborted', 'value_in(phase,FAILED;ABORTED)'],
  ['failed or else aborted', 'eq(phase,FAILED) OR eq(phase,ABORTED)'],
  ['failed since', 'eq(execution.phase,FAILED)+gte(execution_created_at,2026-01-01T00:00:00Z)'],
  ['begun since', 'gte(started_at,2026-01-01T00:00:00Z)'],
  ['longer than a day but 100 s', 'gt(duration,86300)'],
  ['archived', 'eq(state,1)'],
  ['of a plan', plan],
  ['of a plan, failed or aborted', (i) => `${plan(i)}+value_in(phase,FAILED;ABORTED)`],
  ['of a workflow', workflow],
  ['of a workflow version', (i) => `${workflow(i)}+eq(workflow.version,v${(4 * i) % 20})`],
  ['of a version that none ran', (i) => `${workflow(i)}+eq(workflow.version,v3)`],
  ['of a task', (i) => `eq(task.name,tasks.one_${i % 10})`],
  ['of a user', (i) => `eq(user,user-${2 * (i % 25)})`],
  ['of nobody', 'eq(user,nobody)'],
  ['of a user, failed', (i) => `eq(user,user-${10 * (i % 5) + 8})+eq(phase,FAILED)`],
  ['with a label', (i) => team(i % 20)],
  ['with a label that none has', team(99)],
  ['with a rare label', 'eq(execution_tag.key,incident)'],
  ['with a tag', 'eq(admin_tag.name,nightly)'],
  ['with a tag and a label', (i) => `eq(admin_tag.name,nightly)+${team(i % 20)}`],
  ['with a label, failed', `${team(4)}+eq(phase,FAILED)`],
  ['with a label, longest', (i) => team(i % 20), { sort: 'duration' }],
  ['with an input', (i) => `eq(input.x,${2 * i})`],
  ['with an input that none has', 'eq(input.x,5000)'],
  ['of an error code', 'eq(error_code,OOMKilled)'],
];

const contains = (some: (i: number) => string): readonly Row[] => [
  ['name contains', (i) => `contains(execution_name,${some(i).slice(5)})`],
  ['no name contains', 'contains(execution_name,nothing)'],
  ['plan contains', 'contains(launch_plan.name,train)'],
  ['no plan contains', 'contains(launch_plan.name,nothing)'],
  ['no workflow contains', 'contains(workflow.name,nothing)'],
  ['no user contains', 'contains(user,nothing)'],
  ['error contains', (i) => `contains(error_message,disk ${i}3 )`],
  ['no error contains', 'contains(error_message,nothing)'],
  ['no input contains', 'contains(input.s,nothing)'],
];

const others: readonly Row[] = [
  ['with a label, in a phase that none of them is in', `${team(4)}+eq(phase,ABORTED)`],
  ['of a user, in a phase that none of them is in', 'eq(user,user-0)+eq(phase,FAILED)'],
  ['by start', '', { sort: 'started_at' }],
  ['100 from row 400,000', '', { limit: 100, token: '400000' }],
  ['of a cluster that there is not', 'eq(cluster,nowhere)'],
  ['with an input above all', 'gt(input.x,5000)'],
];

export function readModelQueries({ admin }: BenchClient, size: number): Query[] {
  const id = { project, domain, org: '' };
  const some = (i: number) => `bulk-${2 * ((i * 7919) % Math.floor(size / 2)) || 2}`;
  const execution = (i: number) => ({ ...id, name: some(i) });
  const lister =
    (most: number) =>
    ([name, filters, page = {}]: Row): Query => ({
      name: `runs: ${name}`,
      goal: most,
      async run(i) {
        const { executions } = await admin.listExecutions({
          id: { ...id, name: '' },
          limit: page.limit ?? 20,
          token: page.token ?? '',
          filters: typeof filters === 'string' ? filters : filters(i),
          sortBy: {
            key: page.sort ?? 'created_at',
            direction: page.ascending ? Sort_Direction.ASCENDING : Sort_Direction.DESCENDING,
          },
        });
        return { rows: executions.length };
      },
    });
  const one = (name: string, call: (i: number) => Promise<unknown[] | object>): Query => ({
    name,
    goal,
    async run(i) {
      const answer = await call(i);
      return { rows: Array.isArray(answer) ? answer.length : 1 };
    },
  });
  const page = { limit: 100, token: '', filters: '', sortBy: undefined };
  const oldest = { ...page, sortBy: { key: 'created_at', direction: Sort_Direction.ASCENDING } };
  const newest = { ...page, sortBy: { key: 'created_at', direction: Sort_Direction.DESCENDING } };
  const nodes = (name: string, request: typeof page | typeof oldest) =>
    one(name, async (i) => {
      const asked = { ...request, workflowExecutionId: execution(i), uniqueParentId: '' };
      return (await admin.listNodeExecutions(asked)).nodeExecutions;
    });
  return [
    ...lists(some).map(lister(goal)),
    ...contains(some).map(lister(goalOfContains)),
    ...others.map(lister(limit)),
    one('a run', (i) => admin.getExecution({ id: execution(i) })),
    one('its data', (i) => admin.getExecutionData({ id: execution(i) })),
    nodes('its nodes', page),
    nodes('its nodes, oldest first', oldest),
    nodes('its failed nodes', { ...page, filters: 'eq(phase,FAILED)' }),
    one('a node', (i) => admin.getNodeExecution({ id: { nodeId: 'n3', executionId: execution(i) } })),
    one('attempts of a node', async (i) => {
      const nodeExecutionId = { nodeId: 'n3', executionId: execution(i) };
      return (await admin.listTaskExecutions({ ...page, nodeExecutionId })).taskExecutions;
    }),
    one('where its time went', (i) => admin.getExecutionMetrics({ id: execution(i), depth: 10 })),
    one('workflows, newest', async () => (await admin.listWorkflows({ ...newest, id: { ...id, name: '' } })).workflows),
    one('versions of a workflow', async (i) => {
      const name = `flows.train_${4 * (i % 50)}`;
      return (await admin.listWorkflows({ ...newest, id: { ...id, name } })).workflows;
    }),
    one('plans, newest', async () => (await admin.listLaunchPlans({ ...newest, id: { ...id, name: '' } })).launchPlans),
    one('names of workflows', async () => {
      const request = { ...page, ...id, resourceType: ResourceType.WORKFLOW };
      return (await admin.listNamedEntities(request)).entities;
    }),
  ];
}
