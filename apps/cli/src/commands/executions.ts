import { Command } from 'commander';
import { formatType } from '@aloft/literals';
import { UsageError, exitCodes } from '../failure.js';
import { literalFromText } from '../inputs/from-text.js';
import { uploadPath } from '../upload.js';
import { showRun } from '../watch/watch.js';
import { executionId, within, withGlobalOptions } from './context.js';
import { finishRun } from './run.js';

export function watchCommand(): Command {
  return withGlobalOptions(new Command('watch'))
    .description('show a run while it goes on; the exit code says how it ended')
    .argument('<execution>')
    .action(async (name: string, _options: object, command: Command) => {
      await within(command, async ({ connection, output, target }) => {
        const run = await showRun(connection, executionId(target, name), output);
        if (!run.succeeded) process.exitCode = exitCodes.runFailed;
      });
    });
}

export function terminateCommand(): Command {
  return withGlobalOptions(new Command('terminate'))
    .description('abort a run')
    .argument('<execution>')
    .option('-c, --cause <text>', 'why', 'terminated from the command line')
    .action(async (name: string, { cause }: { cause: string }, command: Command) => {
      await within(command, async ({ connection, output, target }) => {
        await connection.admin.terminateExecution({ id: executionId(target, name), cause });
        output.result({ id: executionId(target, name), cause }, `${name} is being aborted.`);
      });
    });
}

interface AgainOptions {
  name?: string;
  wait?: boolean;
  overwriteCache?: boolean;
  currentSettings?: boolean;
}

function again(verb: 'relaunch' | 'recover', description: string): Command {
  const command = withGlobalOptions(new Command(verb))
    .description(description)
    .argument('<execution>')
    .option('-n, --name <name>', 'name of the new run')
    .option('-w, --wait', 'wait for the end; the exit code says how it ended');
  if (verb === 'relaunch')
    command
      .option('--overwrite-cache', 'compute everything anew and renew the catalog')
      .option(
        '--current-settings',
        "labels, environment, roles and limits as the launch plan gives them now, not the old run's",
      );
  return command.action(async (execution: string, options: AgainOptions, self: Command) => {
    await within(self, async (context) => {
      const { connection, output, target } = context;
      const id = executionId(target, execution);
      const request = { id, name: options.name ?? '' };
      const created =
        verb === 'relaunch'
          ? await connection.admin.relaunchExecution(
              { ...request, overwriteCache: options.overwriteCache ?? false },
              options.currentSettings ? { metadata: { 'aloft-settings': 'current' } } : {},
            )
          : await connection.admin.recoverExecution({ ...request, metadata: undefined });
      if (!options.wait) {
        output.result({ id: created.id }, `Started ${created.id!.name}. Follow it: aloft watch ${created.id!.name}`);
        return;
      }
      output.say(`Started ${created.id!.name}.`);
      await finishRun(context, created.id!.name);
    });
  });
}

export const relaunchCommand = (): Command => again('relaunch', 'start a run again with the same inputs');
export const recoverCommand = (): Command => again('recover', 'start a failed run again, keeping what had succeeded');

export function signalCommand(): Command {
  return withGlobalOptions(new Command('signal'))
    .description('list what a run waits for, or answer it')
    .argument('<execution>')
    .argument('[id]', 'which signal')
    .argument('[value]', 'true or false for an approval, else a value of its type')
    .action(
      async (
        name: string,
        signal: string | undefined,
        value: string | undefined,
        _options: object,
        command: Command,
      ) => {
        await within(command, async ({ connection, output, target }) => {
          const execution = executionId(target, name);
          const { signals } = await connection.signals.listSignals({
            workflowExecutionId: execution,
            limit: 100,
            token: '',
            filters: '',
            sortBy: undefined,
          });
          if (signal === undefined) {
            output.result(
              signals.map(({ id, type, value: set }) => ({
                id: id?.signalId,
                type: formatType(type),
                set: set !== undefined,
              })),
              signals
                .map(({ id, type, value: set }) => `${id?.signalId} (${formatType(type)})${set ? ' is set' : ''}`)
                .join('\n') || `${name} waits for no signal.`,
            );
            return;
          }
          const found = signals.find(({ id }) => id?.signalId === signal);
          if (!found)
            throw new UsageError(
              `${name} has no signal '${signal}' yet.`,
              `It has ${signals.map(({ id }) => `'${id?.signalId}'`).join(', ') || 'none'}; a gate's signal exists once the run has reached it.`,
            );
          if (value === undefined) throw new UsageError(`Which value? '${signal}' is ${formatType(found.type)}.`);
          const literal = await literalFromText(found.type!, value, `the value of ${signal}`, (path, multipart) =>
            uploadPath(connection, path, multipart),
          );
          await connection.signals.setSignal({ id: found.id, value: literal });
          output.result({ id: found.id, value }, `${signal} of ${name} is ${value}.`);
        });
      },
    );
}
