import { Command } from 'commander';
import { stringify } from 'yaml';
import { Project, Project_ProjectState as State } from '@aloft/idl/flyteidl/admin/project';
import { UsageError } from '../failure.js';
import { within, withGlobalOptions } from './context.js';
import { listProjects, pageOf, projectJson, showNamed, withPageOptions, type PageOptions } from './listings.js';

interface Fields {
  name?: string;
  description?: string;
  label?: string[];
}

export function projectCommand(): Command {
  return new Command('project')
    .description('projects: list, create, update, archive')
    .addCommand(
      withPageOptions(withGlobalOptions(new Command('list')))
        .alias('ls')
        .description('projects; archived ones with --filter "eq(state,1)"')
        .argument('[id]')
        .action(async (id: string | undefined, options: PageOptions, command: Command) => {
          const page = pageOf(options);
          await within(command, async (context) =>
            showNamed(context, 'project', id, await listProjects(context, id, page), page),
          );
        }),
    )
    .addCommand(describeCommand('get'))
    .addCommand(describeCommand('describe'))
    .addCommand(
      withFields(withGlobalOptions(new Command('create')).description('register a project')).action(
        async (id: string, fields: Fields, command: Command) => {
          await within(command, async ({ connection, output }) => {
            const project = Project.fromPartial({ ...given(fields), id, name: fields.name ?? id });
            await connection.admin.registerProject({ project });
            output.result({ id }, `Project ${id} is there.`);
          });
        },
      ),
    )
    .addCommand(
      withFields(withGlobalOptions(new Command('update')).description('change what is given')).action(
        async (id: string, fields: Fields, command: Command) => {
          if (Object.keys(given(fields)).length === 0)
            throw new UsageError('What is to change?', 'Give --name, --description or --label.');
          await within(command, async ({ connection, output }) => {
            const { state } = await connection.admin.getProject({ id, org: '' });
            await connection.admin.updateProject(Project.fromPartial({ ...given(fields), id, state }));
            output.result({ id }, `Project ${id} is changed.`);
          });
        },
      ),
    )
    .addCommand(stateCommand('archive', State.ARCHIVED, 'nothing can be registered or launched in it any more'))
    .addCommand(stateCommand('activate', State.ACTIVE, 'take it into use again'));
}

function withFields(command: Command): Command {
  return command
    .argument('<id>')
    .option('-n, --name <name>', 'for people')
    .option('--description <text>')
    .option('--label <key=value...>', 'labels that its runs have');
}

function given({ name, description, label }: Fields) {
  const values = Object.fromEntries(
    (label ?? []).map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new UsageError(`--label must be key=value, but it is ${text}.`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
  return {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    ...(label === undefined ? {} : { labels: { values } }),
  };
}

function describeCommand(verb: 'get' | 'describe'): Command {
  return withGlobalOptions(new Command(verb))
    .description(verb === 'get' ? 'one project in a line' : 'one project in full')
    .argument('<id>')
    .action(async (id: string, _options: object, command: Command) => {
      await within(command, async (context) => {
        if (verb === 'get') {
          const page = pageOf({ limit: '1000' });
          return showNamed(context, 'project', id, await listProjects(context, id, page), page);
        }
        const json = projectJson(await context.connection.admin.getProject({ id, org: '' }));
        context.output.result(json, stringify(json).trimEnd());
      });
    });
}

function stateCommand(verb: string, state: State, description: string): Command {
  return withGlobalOptions(new Command(verb))
    .description(description)
    .argument('<id>')
    .action(async (id: string, _options: object, command: Command) => {
      await within(command, async ({ connection, output }) => {
        await connection.admin.updateProject(Project.fromPartial({ id, state }));
        output.result({ id, state: State[state] }, `Project ${id} is ${verb}d.`);
      });
    });
}
