import { Argument, Command } from 'commander';
import { listAttempts } from './attempts.js';
import { within, withGlobalOptions } from './context.js';
import {
  listExecutions,
  listLaunchPlans,
  listNodes,
  listProjects,
  listTasks,
  listWorkflows,
  pageOf,
  showNamed,
  withPageOptions,
  type Lister,
  type PageOptions,
} from './listings.js';

/** What it is called if one is missing, and how it is listed. */
const kinds = {
  projects: ['project', listProjects],
  tasks: ['task', listTasks],
  workflows: ['workflow', listWorkflows],
  'launch-plans': ['launch plan', listLaunchPlans],
  executions: ['execution', listExecutions],
  nodes: ['node of execution', listNodes],
  attempts: ['attempt of execution', listAttempts],
} as const satisfies Record<string, readonly [string, Lister]>;

export function getCommand(): Command {
  return withPageOptions(withGlobalOptions(new Command('get')))
    .description('list what the platform has; aloft <noun> --help has more of each')
    .addArgument(new Argument('<kind>', 'what to list').choices(Object.keys(kinds)))
    .argument('[name]', 'only this one; for nodes and attempts: the execution')
    .action(async (kind: keyof typeof kinds, name: string | undefined, options: PageOptions, command: Command) => {
      const page = pageOf(options);
      await within(command, async (context) => {
        const [noun, list] = kinds[kind];
        showNamed(context, noun, name, await list(context, name, page), page);
      });
    });
}
