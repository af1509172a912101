import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { parse as parseYaml } from 'yaml';
import { AloftError } from '@aloft/errors';
import { Execution, ExecutionMetadata_ExecutionMode, ExecutionSpec } from '@aloft/idl/flyteidl/admin/execution';
import type { LaunchPlan } from '@aloft/idl/flyteidl/admin/launch_plan';
import { Sort_Direction } from '@aloft/idl/flyteidl/admin/common';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { ParameterMap } from '@aloft/idl/flyteidl/core/interface';
import type { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { SimpleType } from '@aloft/idl/flyteidl/core/types';
import { formatLiteral, formatType } from '@aloft/literals';
import { definitionOf } from '@aloft/sdk';
import { messageJson } from '../output.js';
import { UsageError, exitCodes } from '../failure.js';
import { literalFromJson, literalFromText } from '../inputs/from-text.js';
import { registerFile } from '../register.js';
import { uploadPath } from '../upload.js';
import { showRun } from '../watch/watch.js';
import type { Connection } from '../connection.js';
import { executionId, within, withGlobalOptions, type CommandContext } from './context.js';

interface RunOptions {
  inputsFile?: string;
  name?: string;
  wait?: boolean;
  watch?: boolean;
  version?: string;
  overwriteCache?: boolean;
  external?: string[];
  image?: string;
  help?: boolean;
}

const isFile = (target: string): boolean => /\.[cm]?[jt]sx?$/.test(target);

export function runCommand(name = 'run'): Command {
  return withGlobalOptions(new Command(name))
    .description('start a workflow of a file (registering it first), or a registered launch plan')
    .argument('[target]', 'a file like pipeline.ts, or the name of a launch plan')
    .argument('[workflow]', "with a file: which of its workflows (its export's name); may be left out if there is one")
    .option('-f, --inputs-file <path>', 'inputs as JSON or YAML')
    .option('-n, --name <name>', 'name of the run')
    .option('-w, --wait', 'wait for the end; the exit code says how it ended')
    .option('--watch', 'show the run while it goes on (implies --wait)')
    .option('-v, --version <version>', 'version to run, or to register the file as')
    .option('--overwrite-cache', 'compute everything anew and renew the catalog')
    .option('--external <package...>', 'with a file: packages to leave out of the bundle')
    .option('--image <image>', 'with a file: container image of its tasks')
    .helpOption(false)
    .option('-h, --help', 'this; after a target, its inputs')
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText(
      'after',
      '\nInputs are options of their own: aloft run pipeline.ts train --rounds 5 --data ./data.csv\nAn input that is called like an option above goes after --: aloft run pipeline.ts train -- --name x',
    )
    .action(async (target: string | undefined, workflow: string | undefined, options: RunOptions, command: Command) => {
      if (target === undefined || target.startsWith('-')) {
        if (options.help) return command.outputHelp();
        throw new UsageError(
          'What is to run?',
          'Give a file or the name of a launch plan: aloft run pipeline.ts train',
        );
      }
      await within(command, async (context) => {
        const operands = command.args.filter((word) => word !== '--');
        if (options.help) operands.push('--help');
        const named = isFile(target) && workflow !== undefined && !workflow.startsWith('-') ? workflow : undefined;
        const rest = operands.slice(named === undefined ? 1 : 2);
        const plan = isFile(target)
          ? await planOfFile(context, target, named, options)
          : await planByName(context, target, options.version);
        await start(context, plan, rest, options);
      });
    });
}

async function planOfFile(
  { connection, output }: CommandContext,
  path: string,
  workflow: string | undefined,
  options: RunOptions,
): Promise<LaunchPlan> {
  const { bundle, version } = await registerFile(connection, path, {
    version: options.version,
    external: options.external,
    image: options.image,
  });
  const runnable = [...bundle.entry.entities].flatMap(([exported, entity]) => {
    const { kind, name } = definitionOf(entity)!;
    return kind === 'task' ? [] : [{ exported, name: name! }];
  });
  const choices = runnable.map(({ exported }) => exported).join(', ');
  const chosen =
    workflow === undefined
      ? runnable.length === 1
        ? runnable[0]
        : undefined
      : runnable.find(({ exported, name }) => exported === workflow || name === workflow);
  if (!chosen)
    throw new UsageError(
      workflow === undefined
        ? `${path} has ${runnable.length} workflows and launch plans.`
        : `${path} exports no workflow or launch plan '${workflow}'.`,
      choices ? `Name one of them: ${choices}.` : 'Export a workflow.',
    );
  output.say(`Registered ${path} as version ${version}.`);
  const { project, domain } = connection.target;
  return connection.admin.getLaunchPlan({
    id: { resourceType: ResourceType.LAUNCH_PLAN, org: '', project, domain, name: chosen.name, version },
  });
}

/** The given version; else the active one; else the latest. */
export async function planByName({ connection }: CommandContext, name: string, version?: string): Promise<LaunchPlan> {
  const { project, domain } = connection.target;
  const id = { org: '', project, domain, name };
  if (version !== undefined)
    return connection.admin.getLaunchPlan({ id: { ...id, resourceType: ResourceType.LAUNCH_PLAN, version } });
  try {
    return await connection.admin.getActiveLaunchPlan({ id });
  } catch (error) {
    if (!(error instanceof AloftError) || error.code !== 'NOT_FOUND') throw error;
  }
  const { launchPlans } = await connection.admin.listLaunchPlans({
    id,
    limit: 1,
    token: '',
    filters: '',
    sortBy: { key: 'created_at', direction: Sort_Direction.DESCENDING },
  });
  if (!launchPlans[0])
    throw new UsageError(
      `There is no launch plan ${name} in ${project}/${domain}.`,
      'List what there is with `aloft get launch-plans`, or register a file with `aloft register`.',
    );
  return launchPlans[0];
}

async function start(
  context: CommandContext,
  plan: LaunchPlan,
  given: readonly string[],
  options: RunOptions,
): Promise<void> {
  const { connection, output, target } = context;
  const expected = plan.closure?.expectedInputs ?? { parameters: {} };
  const inputs = await inputsFrom(connection, plan.id!, expected, given, options.inputsFile);
  if (!inputs) return;
  const { id } = await startRun(connection, plan.id!, inputs, options);
  const run = executionId(target, id!.name);
  if (!options.wait && !options.watch) {
    output.result({ id: run }, `Started ${run.name}. Follow it: aloft watch ${run.name}`);
    return;
  }
  output.say(`Started ${run.name}.`);
  await finishRun(context, run.name);
}

export async function startRun(
  connection: Connection,
  plan: Identifier,
  inputs: LiteralMap,
  options: { name?: string; overwriteCache?: boolean } = {},
) {
  const { project, domain } = connection.target;
  return connection.admin.createExecution({
    org: '',
    project,
    domain,
    name: options.name ?? '',
    inputs,
    spec: ExecutionSpec.fromPartial({
      launchPlan: plan,
      metadata: { mode: ExecutionMetadata_ExecutionMode.MANUAL },
      overwriteCache: options.overwriteCache ?? false,
    }),
  });
}

/** Shows a run to its end, prints its outputs, and sets the exit code by how it ended. */
export async function finishRun(context: CommandContext, name: string): Promise<void> {
  const { connection, output, target } = context;
  const id = executionId(target, name);
  const run = await showRun(connection, id, output);
  if (!run.succeeded) process.exitCode = exitCodes.runFailed;
  const [execution, data] = await Promise.all([
    connection.admin.getExecution({ id }),
    run.succeeded ? connection.admin.getExecutionData({ id }) : undefined,
  ]);
  const outputs = data?.fullOutputs?.literals ?? {};
  if (output.isJson) output.item(messageJson('flyteidl.admin.Execution', Execution, execution), '');
  else
    for (const [key, literal] of Object.entries(outputs).sort(([a], [b]) => (a < b ? -1 : 1)))
      output.result({}, `${key}: ${formatLiteral(literal)}`);
}

/** Inputs from the file and the options of their own; `undefined` after showing help. */
export async function inputsFrom(
  connection: Connection,
  id: Identifier,
  expected: ParameterMap,
  given: readonly string[],
  file: string | undefined,
): Promise<LiteralMap | undefined> {
  const parameters = Object.entries(expected.parameters);
  const upload = (path: string, multipart: boolean): Promise<string> => uploadPath(connection, path, multipart);
  const command = new Command(id.name)
    .allowExcessArguments(false)
    .exitOverride()
    .helpOption('-h, --help', 'show the inputs');
  const keys = new Map<string, string>();
  for (const [name, parameter] of parameters) {
    const type = parameter.var!.type!;
    const flag = name.replaceAll('_', '-');
    const isBoolean = type.type?.$case === 'simple' && type.type.value === SimpleType.BOOLEAN;
    const description = parameter.var!.description === name ? '' : (parameter.var!.description ?? '');
    const fallback =
      parameter.behavior?.$case === 'default'
        ? ` (default ${formatLiteral(parameter.behavior.value, { limit: 60 })})`
        : ' (required)';
    command.option(
      `--${flag} ${isBoolean ? '[value]' : '<value>'}`,
      `${formatType(type)} ${description}${fallback}`.trim(),
    );
    if (isBoolean) command.option(`--no-${flag}`);
    keys.set(
      flag.replace(/-(.)/g, (_match, letter: string) => letter.toUpperCase()),
      name,
    );
  }
  try {
    // `--some_input` and `--some-input` mean the same.
    command.parse(
      given.map((word) =>
        word.startsWith('--') ? word.replace(/^--[^=]+/, (flag) => flag.replaceAll('_', '-')) : word,
      ),
      { from: 'user' },
    );
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === 'commander.helpDisplayed') return undefined;
    throw new UsageError(
      `${id.name}: ${message.replace(/^error: /, '')}`,
      `Its inputs are ${parameters.map(([name]) => `--${name.replaceAll('_', '-')}`).join(', ') || 'none'}.`,
    );
  }
  const fromFile = file === undefined ? {} : await readInputs(file);
  for (const name of Object.keys(fromFile))
    if (!expected.parameters[name])
      throw new UsageError(
        `${file}: there is no input '${name}'; the inputs are ${parameters.map(([key]) => key).join(', ')}.`,
      );
  const literals: LiteralMap['literals'] = {};
  for (const [key, value] of Object.entries(fromFile))
    literals[key] = await literalFromJson(expected.parameters[key]!.var!.type!, value, `--${key}`, upload);
  for (const [key, value] of Object.entries(command.opts<Record<string, string | boolean>>())) {
    const name = keys.get(key);
    if (name !== undefined && command.getOptionValueSource(key) === 'cli')
      literals[name] = await literalFromText(expected.parameters[name]!.var!.type!, String(value), `--${name}`, upload);
  }
  const missing = parameters.filter(([name, parameter]) => !literals[name] && parameter.behavior?.$case !== 'default');
  if (missing.length > 0)
    throw new UsageError(
      `${id.name} needs ${missing.map(([name, parameter]) => `--${name.replaceAll('_', '-')} <${formatType(parameter.var!.type!)}>`).join(', ')}.`,
      'See all inputs with --help after the target.',
    );
  return { literals };
}

async function readInputs(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw new UsageError(`There is no inputs file ${path}.`);
  });
  let value: unknown;
  try {
    value = parseYaml(text);
  } catch (error) {
    throw new UsageError(`${path} is neither JSON nor YAML: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError(`${path} must have one object with the inputs by name.`);
  return value as Record<string, unknown>;
}
