import chalk from 'chalk';
import { Command, CommanderError } from 'commander';
import { defaultEndpoint } from './connection.js';
import { attributesCommand } from './commands/attributes.js';
import { clusterCommand } from './commands/cluster.js';
import { completeCommand, completionCommand } from './commands/completion.js';
import { demoCommand } from './commands/demo.js';
import { launchPlanCommand, taskCommand, workflowCommand } from './commands/entities.js';
import { executionCommand } from './commands/execution.js';
import {
  recoverCommand,
  relaunchCommand,
  signalCommand,
  terminateCommand,
  watchCommand,
} from './commands/executions.js';
import { getCommand } from './commands/get.js';
import { historyCommand } from './commands/history.js';
import { logsCommand } from './commands/logs.js';
import { nodeCommand } from './commands/node.js';
import { projectCommand } from './commands/project.js';
import { registerCommand } from './commands/register.js';
import { replayCommand } from './commands/replay.js';
import { retentionCommand } from './commands/retention.js';
import { runCommand } from './commands/run.js';
import { startCommand } from './commands/start.js';
import { usageCommand } from './commands/usage.js';
import { whyCommand } from './commands/why.js';
import { exitCodes, explain } from './failure.js';

export function program(): Command {
  return (
    new Command('aloft')
      .description('workflows of typed tasks: write, run, watch')
      .version('0.1.0')
      // `--version` after a command is the command's own.
      .enablePositionalOptions()
      .showHelpAfterError('See what there is with --help.')
      .addHelpText(
        'after',
        `
Exit codes: 0 done; 1 the run that was waited for did not succeed, or a replay differs; 2 the command or a file is not as it must be;
3 the platform refused or does not answer.`,
      )
      .addCommand(startCommand())
      .addCommand(demoCommand())
      .addCommand(registerCommand())
      .addCommand(runCommand())
      .addCommand(getCommand())
      .addCommand(watchCommand())
      .addCommand(logsCommand())
      .addCommand(whyCommand())
      .addCommand(usageCommand())
      .addCommand(clusterCommand())
      .addCommand(historyCommand())
      .addCommand(replayCommand())
      .addCommand(signalCommand())
      .addCommand(nodeCommand())
      .addCommand(terminateCommand())
      .addCommand(relaunchCommand())
      .addCommand(recoverCommand())
      .addCommand(projectCommand())
      .addCommand(taskCommand())
      .addCommand(workflowCommand())
      .addCommand(launchPlanCommand())
      .addCommand(executionCommand())
      .addCommand(attributesCommand())
      .addCommand(retentionCommand())
      .addCommand(completionCommand())
      .addCommand(completeCommand(program), { hidden: true })
  );
}

/** Runs the command line; answers the exit code. */
export async function runProgram(argv: readonly string[], root = program()): Promise<number> {
  overrideExits(root);
  try {
    await root.parseAsync([...argv], { from: 'user' });
    return Number(process.exitCode ?? exitCodes.ok);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const isJson = argv.some(
      (word, i) =>
        word === '--json' ||
        word === '--output=json' ||
        ((word === '-o' || word === '--output') && argv[i + 1] === 'json'),
    );
    const { message, next, exitCode, code } = explain(error, endpointOf(argv));
    process.stderr.write(
      isJson
        ? `${JSON.stringify({ error: { message, next, code } })}\n`
        : `${chalk.red('✘')} ${message}\n${next ? `  ${next}\n` : ''}`,
    );
    return exitCode;
  }
}

/** Of commands at every depth: what they refuse is thrown, not the end of the process. */
function overrideExits(command: Command): void {
  command.exitOverride();
  command.commands.forEach(overrideExits);
}

function endpointOf(argv: readonly string[]): string {
  const at = argv.findIndex((word) => word === '-e' || word === '--endpoint');
  const joined = argv.find((word) => word.startsWith('--endpoint='));
  return joined?.slice('--endpoint='.length) ?? (at >= 0 ? argv[at + 1] : undefined) ?? defaultEndpoint(process.env);
}
