import { Command } from 'commander';
import { stringify } from 'yaml';
import { ExecutionState, WorkflowExecutionGetDataResponse } from '@aloft/idl/flyteidl/admin/execution';
import { TaskExecution } from '@aloft/idl/flyteidl/admin/task_execution';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { colourPhase, formatDuration, formatTime, messageJson, millisecondsOf } from '../output.js';
import { executionId, within, withGlobalOptions, type CommandContext } from './context.js';
import { recoverCommand, relaunchCommand, signalCommand, terminateCommand, watchCommand } from './executions.js';
import {
  executionJson,
  listExecutions,
  listNodes,
  pageOf,
  show,
  withPageOptions,
  type Page,
  type PageOptions,
} from './listings.js';
import { itemsCommand } from './items.js';
import { logsCommand } from './logs.js';
import { runCommand } from './run.js';
import { timesCommand } from './times.js';

export function executionCommand(): Command {
  return new Command('execution')
    .alias('exec')
    .description('runs: list, describe, create, watch, terminate, relaunch, recover, archive')
    .addCommand(listCommand())
    .addCommand(
      readCommand('get', 'one run in a line', async (context, name) =>
        show(context, await listExecutions(context, name, pageOf({ limit: '1' }))),
      ),
    )
    .addCommand(readCommand('describe', 'one run in full: what it was started with, and what became of it', describe))
    .addCommand(readCommand('data', 'inputs and outputs', data))
    .addCommand(
      withPageOptions(withGlobalOptions(new Command('nodes')))
        .description('its nodes, at every depth')
        .argument('<execution>')
        .action(async (name: string, options: PageOptions, command: Command) => {
          const page = pageOf(options);
          await within(command, async (context) => show(context, await listNodes(context, name, page)));
        }),
    )
    .addCommand(attemptsCommand())
    .addCommand(itemsCommand())
    .addCommand(timesCommand())
    .addCommand(
      runCommand('create').description(
        'start a registered launch plan, or a workflow of a file; the same as aloft run',
      ),
    )
    .addCommand(watchCommand())
    .addCommand(logsCommand())
    .addCommand(signalCommand())
    .addCommand(terminateCommand())
    .addCommand(relaunchCommand())
    .addCommand(recoverCommand())
    .addCommand(stateCommand('archive', ExecutionState.EXECUTION_ARCHIVED, 'hide it from lists'))
    .addCommand(stateCommand('unarchive', ExecutionState.EXECUTION_ACTIVE, 'show it in lists again'));
}

function listCommand(): Command {
  return withPageOptions(withGlobalOptions(new Command('list')))
    .alias('ls')
    .description('runs, newest first; archived ones with --filter "eq(state,1)"')
    .option('-w, --watch', 'show the list again whenever a run of it changes, until Ctrl-C')
    .action(async (options: PageOptions & { watch?: boolean }, command: Command) => {
      const page = pageOf(options);
      await within(command, async (context) => {
        show(context, await listExecutions(context, undefined, page));
        if (options.watch) await follow(context, page);
      });
    });
}

/** A list for each moment in which something changed: what comes while one is asked for is shown by the next. */
async function follow(context: CommandContext, page: Page): Promise<void> {
  const { connection, target } = context;
  let changed = false;
  let showing: Promise<void> | undefined;
  const again = async () => {
    while (changed) {
      changed = false;
      const listing = await listExecutions(context, undefined, page);
      if (!context.output.isJson && process.stdout.isTTY === true) process.stdout.write('\u001b[2J\u001b[H');
      show(context, listing);
    }
    showing = undefined;
  };
  const { project, domain } = target;
  for await (const { event } of connection.watch.watchProject({ project, domain, org: '' })) {
    if (event?.event?.$case !== 'workflow') continue;
    changed = true;
    showing ??= again();
  }
  await showing;
}

function readCommand(
  verb: string,
  description: string,
  read: (context: CommandContext, name: string) => Promise<void>,
): Command {
  return withGlobalOptions(new Command(verb))
    .description(description)
    .argument('<execution>')
    .action((name: string, _options: object, command: Command) => within(command, (context) => read(context, name)));
}

async function describe({ connection, output, target }: CommandContext, name: string): Promise<void> {
  const json = executionJson(await connection.admin.getExecution({ id: executionId(target, name) }));
  output.result(json, stringify(json).trimEnd());
}

async function data({ connection, output, target }: CommandContext, name: string): Promise<void> {
  const answer = await connection.admin.getExecutionData({ id: executionId(target, name) });
  const json = messageJson('flyteidl.admin.WorkflowExecutionGetDataResponse', WorkflowExecutionGetDataResponse, answer);
  output.result(json, stringify(json).trimEnd());
}

function attemptsCommand(): Command {
  return withPageOptions(withGlobalOptions(new Command('attempts')))
    .description("attempts of a node's task")
    .argument('<execution>')
    .argument('<node>', 'its unique id, e.g. n0 or n0-0-n1')
    .action(async (name: string, nodeId: string, options: PageOptions, command: Command) => {
      const page = pageOf({ ...options, sort: options.sort ?? 'retry_attempt:asc' });
      await within(command, async (context) => {
        const { connection, target } = context;
        const nodeExecutionId = { executionId: executionId(target, name), nodeId };
        const answer = await connection.admin.listTaskExecutions({ nodeExecutionId, ...page });
        show(context, {
          json: answer.taskExecutions.map((one) => messageJson('flyteidl.admin.TaskExecution', TaskExecution, one)),
          head: ['attempt', 'phase', 'task', 'version', 'started', 'took', 'error'],
          rows: answer.taskExecutions.map(({ id, closure }) => [
            String(id?.retryAttempt ?? ''),
            colourPhase(TaskExecution_Phase[closure?.phase ?? 0] ?? ''),
            id?.taskId?.name ?? '',
            id?.taskId?.version ?? '',
            formatTime(closure?.startedAt),
            closure?.duration ? formatDuration(millisecondsOf(closure.duration)) : '',
            closure?.outputResult?.$case === 'error' ? closure.outputResult.value.code : '',
          ]),
          token: answer.token,
        });
      });
    });
}

function stateCommand(verb: string, state: ExecutionState, description: string): Command {
  return withGlobalOptions(new Command(verb))
    .description(description)
    .argument('<execution...>')
    .action(async (names: string[], _options: object, command: Command) => {
      await within(command, async ({ connection, output, target }) => {
        for (const name of names) {
          await connection.admin.updateExecution({ id: executionId(target, name), state });
          output.item({ id: executionId(target, name), state: ExecutionState[state] }, `${name} is ${verb}d.`);
        }
      });
    });
}
