import { Command } from 'commander';
import { stringify } from 'yaml';
import { notFound } from '@aloft/errors';
import { NamedEntityState } from '@aloft/idl/flyteidl/admin/common';
import { LaunchPlanState } from '@aloft/idl/flyteidl/admin/launch_plan';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { table } from '../output.js';
import { within, withGlobalOptions, type CommandContext } from './context.js';
import { promoteCommand } from './promote.js';
import {
  listLaunchPlans,
  listTasks,
  listWorkflows,
  pageOf,
  planJson,
  show,
  showNamed,
  taskJson,
  withPageOptions,
  workflowJson,
  type Lister,
  type PageOptions,
} from './listings.js';

/** A registered kind: what all of them can. */
interface Entity {
  command: string;
  noun: string;
  type: ResourceType.TASK | ResourceType.WORKFLOW | ResourceType.LAUNCH_PLAN;
  list: Lister;
  /** Of one version, as JSON. */
  read(context: CommandContext, id: Identifier): Promise<unknown>;
}

const task: Entity = {
  command: 'task',
  noun: 'task',
  type: ResourceType.TASK,
  list: listTasks,
  read: async ({ connection }, id) => taskJson(await connection.admin.getTask({ id })),
};
const workflow: Entity = {
  command: 'workflow',
  noun: 'workflow',
  type: ResourceType.WORKFLOW,
  list: listWorkflows,
  read: async ({ connection }, id) => workflowJson(await connection.admin.getWorkflow({ id })),
};
const launchPlan: Entity = {
  command: 'launchplan',
  noun: 'launch plan',
  type: ResourceType.LAUNCH_PLAN,
  list: listLaunchPlans,
  read: async ({ connection }, id) => planJson(await connection.admin.getLaunchPlan({ id })),
};

export const taskCommand = (): Command => entityCommand(task, 'tasks: list, describe, archive');
export const workflowCommand = (): Command => entityCommand(workflow, 'workflows: list, describe, archive');

export function launchPlanCommand(): Command {
  return entityCommand(launchPlan, 'launch plans: list, describe, activate, deactivate and promote versions, archive')
    .addCommand(
      stateCommand('activate', LaunchPlanState.ACTIVE, 'make a version the one that runs by default, and on schedule'),
    )
    .addCommand(stateCommand('deactivate', LaunchPlanState.INACTIVE, 'of the active version, if none is named'))
    .addCommand(activeCommand())
    .addCommand(promoteCommand());
}

function entityCommand(entity: Entity, description: string): Command {
  const { noun, list } = entity;
  return new Command(entity.command)
    .description(description)
    .addCommand(
      withPageOptions(withGlobalOptions(new Command('list')))
        .alias('ls')
        .description('versions, newest first')
        .argument('[name]', 'only of this name')
        .action(async (name: string | undefined, options: PageOptions, command: Command) => {
          const page = pageOf(options);
          await within(command, async (context) =>
            showNamed(context, noun, name, await list(context, name, page), page),
          );
        }),
    )
    .addCommand(namesCommand(entity))
    .addCommand(describeCommand(entity, 'get'))
    .addCommand(describeCommand(entity, 'describe'))
    .addCommand(
      archiveCommand(
        entity,
        'archive',
        NamedEntityState.NAMED_ENTITY_ARCHIVED,
        'hide it from lists of names; it still runs',
      ),
    )
    .addCommand(archiveCommand(entity, 'unarchive', NamedEntityState.NAMED_ENTITY_ACTIVE, 'show it again'));
}

/** `get`: a line for people; `describe`: everything. */
function describeCommand(entity: Entity, verb: 'get' | 'describe'): Command {
  const { noun } = entity;
  return withGlobalOptions(new Command(verb))
    .description(verb === 'get' ? 'one version in a line' : 'one version in full')
    .argument('<name>')
    .argument('[version]', 'the newest, if none is named')
    .action(async (name: string, version: string | undefined, _options: object, command: Command) => {
      await within(command, async (context) => {
        const id = identifier(context, entity, name, version ?? (await newestOf(context, entity, name)));
        const json = await entity.read(context, id);
        if (verb === 'describe' || context.output.isJson) return context.output.result(json, stringify(json).trimEnd());
        const page = pageOf({ limit: '1', filter: `eq(version,${id.version})` });
        showNamed(context, noun, name, await entity.list(context, name, page), page);
      });
    });
}

function namesCommand({ type }: Entity): Command {
  return withPageOptions(withGlobalOptions(new Command('names')))
    .description('names without their versions, with their states')
    .action(async (options: PageOptions, command: Command) => {
      const page = pageOf({ sort: 'name:asc', ...options });
      await within(command, async (context) => {
        const { project, domain } = context.target;
        const answer = await context.connection.admin.listNamedEntities({
          resourceType: type,
          project,
          domain,
          org: '',
          ...page,
        });
        const found = answer.entities.map(({ id, metadata }) => ({
          name: id?.name ?? '',
          state: (NamedEntityState[metadata?.state ?? 0] ?? '').replace('NAMED_ENTITY_', '').toLowerCase(),
          description: metadata?.description ?? '',
        }));
        show(context, {
          json: found,
          head: ['name', 'state', 'description'],
          rows: found.map(({ name, state, description }) => [name, state, description]),
          token: answer.token,
        });
      });
    });
}

function archiveCommand({ type, noun }: Entity, verb: string, state: NamedEntityState, description: string): Command {
  return withGlobalOptions(new Command(verb))
    .description(description)
    .argument('<name>')
    .action(async (name: string, _options: object, command: Command) => {
      await within(command, async ({ connection, output, target }) => {
        const id = { project: target.project, domain: target.domain, name, org: '' };
        // The description is written with the state: it has to stay.
        const { metadata } = await connection.admin.getNamedEntity({ resourceType: type, id });
        const kept = { description: metadata?.description ?? '', state };
        await connection.admin.updateNamedEntity({ resourceType: type, id, metadata: kept });
        output.result({ id, state: NamedEntityState[state] }, `${noun} ${name} is ${verb}d.`);
      });
    });
}

function stateCommand(verb: string, state: LaunchPlanState, description: string): Command {
  const command = withGlobalOptions(new Command(verb)).description(description).argument('<name>');
  command.argument(state === LaunchPlanState.ACTIVE ? '<version>' : '[version]');
  return command.action(async (name: string, version: string | undefined, _options: object, self: Command) => {
    await within(self, async (context) => {
      const id = version === undefined ? await activeOf(context, name) : identifier(context, launchPlan, name, version);
      await context.connection.admin.updateLaunchPlan({ id, state });
      context.output.result({ id, state: LaunchPlanState[state] }, `${name} ${id.version} is ${verb}d.`);
    });
  });
}

function activeCommand(): Command {
  return withPageOptions(withGlobalOptions(new Command('active')))
    .description('the active version of each name')
    .action(async (options: PageOptions, command: Command) => {
      const page = pageOf(options);
      await within(command, async (context) => {
        const { project, domain } = context.target;
        const { launchPlans, token } = await context.connection.admin.listActiveLaunchPlans({
          project,
          domain,
          org: '',
          limit: page.limit,
          token: page.token,
          sortBy: page.sortBy,
        });
        const rows = launchPlans.map(({ id, spec }) => [
          id?.name ?? '',
          id?.version ?? '',
          spec?.workflowId?.name ?? '',
        ]);
        context.output.result(launchPlans.map(planJson), table(['launch plan', 'version', 'workflow'], rows));
        if (token) context.output.say(`More: --token ${token}`);
      });
    });
}

async function activeOf({ connection, target }: CommandContext, name: string): Promise<Identifier> {
  const id = { project: target.project, domain: target.domain, name, org: '' };
  const plan = await connection.admin.getActiveLaunchPlan({ id });
  return plan.id!;
}

async function newestOf(context: CommandContext, { list, noun }: Entity, name: string): Promise<string> {
  const { rows } = await list(context, name, pageOf({ limit: '1' }));
  const version = rows[0]?.[1];
  if (version === undefined)
    throw notFound(`There is no ${noun} '${name}' in ${context.target.project}/${context.target.domain}.`);
  return version;
}

const identifier = ({ target }: CommandContext, { type }: Entity, name: string, version: string): Identifier => ({
  resourceType: type,
  project: target.project,
  domain: target.domain,
  name,
  version,
  org: '',
});
