import { Command } from 'commander';
import { NodeControlResponse } from '@aloft/idl/aloft/v1/control';
import { Resources, Resources_ResourceName } from '@aloft/idl/flyteidl/core/tasks';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { UsageError } from '../failure.js';
import { valuesFrom } from '../inputs/named-values.js';
import { messageJson } from '../output.js';
import { uploadPath } from '../upload.js';
import { executionId, within, withGlobalOptions, type CommandContext } from './context.js';
import { revisionsCommand } from './node-revisions.js';
import { finishRun } from './run.js';

interface ControlOptions {
  cause: string;
  commandId?: string;
  wait?: boolean;
  name?: string;
}

interface RerunOptions extends ControlOptions {
  version?: string;
  task?: string;
  cpu?: string;
  memory?: string;
  gpu?: string;
  ephemeralStorage?: string;
}

/** Control of single nodes of a run. */
export function nodeCommand(): Command {
  return new Command('node')
    .description('change single nodes of a run: cancel, retry, set outputs, run again')
    .addHelpText(
      'after',
      `
A run that goes on is changed in place. A run that is over stays as it is: another is started, which takes over all that the
change does not concern. Nodes are named by their unique id, as in: aloft get nodes <run>`,
    )
    .addCommand(cancelCommand())
    .addCommand(retryCommand())
    .addCommand(setOutputsCommand())
    .addCommand(rerunCommand())
    .addCommand(revisionsCommand());
}

function controlCommand(verb: string, description: string, startsRuns = true): Command {
  const command = withGlobalOptions(new Command(verb))
    .description(description)
    .argument('<execution>')
    .argument('<node>', 'its unique id, e.g. n0 or n0-0-n1')
    .option('-c, --cause <text>', 'why; it stays in the history', '')
    .option('--command-id <id>', 'a command of an id that came before does nothing')
    .option('-w, --wait', 'wait for the end of the run; the exit code says how it ended');
  return startsRuns
    ? command.option('-n, --name <name>', 'name of the run that is started if this one is over')
    : command;
}

function cancelCommand(): Command {
  return controlCommand('cancel', 'end a node; the failure policy decides about the rest', false)
    .option('--skip-downstream', 'skip what hangs on it, and let the run go on')
    .action((name: string, node: string, options: ControlOptions & { skipDownstream?: boolean }, command: Command) =>
      within(command, async (context) => {
        const { skipDownstream = false } = options;
        const request = { ...requestOf(context, name, node, options), skipDownstream };
        await done(context, options, 'cancelled', await context.connection.nodes.cancelNode(request));
      }),
    );
}

function retryCommand(): Command {
  return controlCommand('retry', 'begin another attempt of a running or failed node, whatever its budget').action(
    (name: string, node: string, options: ControlOptions, command: Command) =>
      within(command, async (context) => {
        const request = requestOf(context, name, node, options);
        await done(context, options, 'tried again', await context.connection.nodes.retryNode(request));
      }),
  );
}

function setOutputsCommand(): Command {
  return controlCommand('set-outputs', "set a node's outputs by hand, and go on")
    .argument('[outputs...]', 'name=value each; lists, maps and structs as JSON')
    .action((name: string, node: string, given: string[], options: ControlOptions, command: Command) =>
      within(command, async (context) => {
        const request = requestOf(context, name, node, options);
        const { outputs } = await context.connection.nodes.describeNode({ id: request.id });
        if (!outputs) throw new UsageError(`The outputs of ${node} are others': it is a branch or an approval.`);
        const literals = await valuesFrom(given, outputs.variables, 'output', uploader(context));
        const response = await context.connection.nodes.setNodeOutputs({ ...request, outputs: { literals } });
        await done(context, options, 'given its outputs', response);
      }),
    );
}

function rerunCommand(): Command {
  return controlCommand('rerun', 'compute a node and everything downstream of it again, and keep the rest')
    .argument('[inputs...]', 'name=value for inputs that are to be others; lists, maps and structs as JSON')
    .option('-v, --version <version>', 'version of its task to run instead')
    .option('--task <name>', 'task to run instead (of this project and domain)')
    .option('--cpu <quantity>', 'like 2 or 500m')
    .option('--memory <quantity>', 'like 4Gi')
    .option('--gpu <quantity>')
    .option('--ephemeral-storage <quantity>')
    .action((name: string, node: string, given: string[], options: RerunOptions, command: Command) =>
      within(command, async (context) => {
        const { nodes } = context.connection;
        const request = requestOf(context, name, node, options);
        const described = await nodes.describeNode({ id: request.id });
        const task = await otherTask(context, node, described.task, options);
        const variables = { ...described.inputs?.variables, ...task?.inputs };
        const literals = await valuesFrom(given, variables, 'input', uploader(context));
        const response = await nodes.rerunNode({
          ...request,
          inputs: given.length > 0 ? { literals } : undefined,
          task: task?.id,
          resources: resourcesOf(options),
        });
        await done(context, options, 'run again', response);
      }),
    );
}

function requestOf({ target }: CommandContext, name: string, nodeId: string, options: ControlOptions) {
  return {
    id: { executionId: executionId(target, name), nodeId },
    commandId: options.commandId ?? '',
    cause: options.cause,
    name: options.name ?? '',
  };
}

/** The task to run instead, with what it takes. */
async function otherTask(
  { connection, target }: CommandContext,
  node: string,
  current: { name: string; version: string; project: string; domain: string; org: string } | undefined,
  { version, task }: RerunOptions,
) {
  if (version === undefined && task === undefined) return undefined;
  if (!current) throw new UsageError(`${node} runs no task, so there is no other version of it.`);
  if (version === undefined) throw new UsageError('Which version of it?', `Add --version to --task ${task}.`);
  const { project, domain, org } = task === undefined ? current : { ...target, org: '' };
  const id = { resourceType: ResourceType.TASK, project, domain, org, name: task ?? current.name, version };
  const { closure } = await connection.admin.getTask({ id });
  return { id, inputs: closure?.compiledTask?.template?.interface?.inputs?.variables ?? {} };
}

/** The same for requests and limits: a limit below the request could never be met. */
function resourcesOf({ cpu, memory, gpu, ephemeralStorage }: RerunOptions): Resources | undefined {
  const given = [
    [Resources_ResourceName.CPU, cpu],
    [Resources_ResourceName.MEMORY, memory],
    [Resources_ResourceName.GPU, gpu],
    [Resources_ResourceName.EPHEMERAL_STORAGE, ephemeralStorage],
  ] as const;
  const entries = given.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
  return entries.length > 0 ? Resources.fromPartial({ requests: entries, limits: entries }) : undefined;
}

const uploader =
  ({ connection }: CommandContext) =>
  (path: string, multipart: boolean): Promise<string> =>
    uploadPath(connection, path, multipart);

async function done(
  context: CommandContext,
  { wait }: ControlOptions,
  what: string,
  response: NodeControlResponse,
): Promise<void> {
  const { output } = context;
  const { revision, execution } = response;
  const node = revision?.control?.nodeId ?? '';
  const run = execution?.name ?? '';
  const text = revision?.execution
    ? `The run is over: ${run} was started, in which ${node} is ${what}.`
    : revision?.state === 0
      ? `The command is on its way to ${run} (revision ${revision.number}): see aloft node revisions ${run}`
      : `${node} of ${run} is ${what} (revision ${revision?.number}).`;
  if (!wait) {
    const follow = revision?.execution ? ` Follow it: aloft watch ${run}` : '';
    output.result(messageJson('aloft.v1.NodeControlResponse', NodeControlResponse, response), text + follow);
    return;
  }
  output.say(text);
  await finishRun(context, run);
}
