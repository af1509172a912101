import { readFile } from 'node:fs/promises';
import { Argument, Command } from 'commander';
import { parse as parseYaml, stringify } from 'yaml';
import { fromJson } from '@aloft/idl/json';
import { MatchableAttributesConfiguration, MatchingAttributes } from '@aloft/idl/flyteidl/admin/matchable_resource';
import { UsageError } from '../failure.js';
import { messageJson, table } from '../output.js';
import { attributeKinds, type AttributeKind } from './attribute-values.js';
import { within, withGlobalOptions, type CommandContext } from './context.js';

interface ScopeOptions {
  workflow?: string;
  allDomains?: boolean;
  file?: string;
}

const messageType = 'flyteidl.admin.MatchingAttributes';

export function attributesCommand(): Command {
  return new Command('attributes')
    .alias('attribute')
    .description(
      'settings of a project, a domain of it, or a workflow: resources, queues, clusters, priorities, plugins',
    )
    .addHelpText(
      'after',
      `
Kinds and how their values are written:
${Object.entries(attributeKinds)
  .map(([name, { form }]) => `  ${name}: ${form}`)
  .join('\n')}

Of several that apply to a run the most specific one counts: a workflow's before the domain's before the project's.`,
    )
    .addCommand(
      withGlobalOptions(new Command('list'))
        .alias('ls')
        .description('all that are set of a kind, or of every kind')
        .addArgument(kindArgument(false))
        .action(async (kind: string | undefined, _options: object, command: Command) => {
          await within(command, (context) => list(context, kind === undefined ? Object.keys(attributeKinds) : [kind]));
        }),
    )
    .addCommand(
      scoped('get', 'what applies there: of the place itself, or of what it lies in').action(
        async (kind: string, options: ScopeOptions, command: Command) => {
          await within(command, async (context) => {
            const attributes = await read(context, attributeKinds[kind]!, options);
            const json = messageJson(messageType, MatchingAttributes, attributes ?? MatchingAttributes.create());
            context.output.result(json, stringify(json).trimEnd());
          });
        },
      ),
    )
    .addCommand(
      scoped('set', 'make or replace them (overrides of plugins: add to them, by task type)')
        .argument('[values...]', 'as `aloft attributes --help` says for the kind')
        .option('-f, --file <path>', 'JSON or YAML of a flyteidl.admin.MatchingAttributes instead')
        .action(async (kind: string, values: string[], options: ScopeOptions, command: Command) => {
          const matchingAttributes = await given(kind, values, options.file);
          await within(command, async (context) => {
            await write(context, matchingAttributes, options);
            context.output.result(
              messageJson(messageType, MatchingAttributes, matchingAttributes),
              `${kind} of ${describe(context, options)} is set.`,
            );
          });
        }),
    )
    .addCommand(
      scoped('delete', 'what lies above counts again').action(
        async (kind: string, options: ScopeOptions, command: Command) => {
          await within(command, async (context) => {
            await remove(context, attributeKinds[kind]!, options);
            context.output.result({ kind, deleted: true }, `${kind} of ${describe(context, options)} is gone.`);
          });
        },
      ),
    );
}

const kindArgument = (required: boolean) =>
  new Argument(required ? '<kind>' : '[kind]').choices(Object.keys(attributeKinds));

function scoped(verb: string, description: string): Command {
  return withGlobalOptions(new Command(verb))
    .description(description)
    .addArgument(kindArgument(true))
    .option('--workflow <name>', 'of this workflow only')
    .option('--all-domains', 'of the project, in every domain');
}

async function given(kind: string, values: readonly string[], file: string | undefined): Promise<MatchingAttributes> {
  const { target, form } = attributeKinds[kind]!;
  if (file === undefined) {
    if (values.length === 0) throw new UsageError(`Which ${kind}?`, `Write: ${form}`);
    return MatchingAttributes.fromPartial({ target: target(values) });
  }
  if (values.length > 0) throw new UsageError('Give the values or --file, not both.');
  try {
    return MatchingAttributes.decode(fromJson(messageType, parseYaml(await readFile(file, 'utf8')) as never));
  } catch (error) {
    throw new UsageError(
      `${file} is no ${messageType}: ${(error as Error).message}`,
      'See `aloft attributes get -o json` for the form.',
    );
  }
}

async function list(context: CommandContext, kinds: readonly string[]): Promise<void> {
  const { connection, output, target } = context;
  const found = await Promise.all(
    kinds.map(async (kind) => {
      const resourceType = attributeKinds[kind]!.type;
      const { configurations } = await connection.admin.listMatchableAttributes({ resourceType, org: '' });
      return configurations
        .filter(({ project }) => project === '' || project === target.project)
        .map((one) => ({ kind, one }));
    }),
  );
  const rows = found.flat();
  output.result(
    rows.map(({ kind, one }) => ({
      kind,
      ...(messageJson(
        'flyteidl.admin.MatchableAttributesConfiguration',
        MatchableAttributesConfiguration,
        one,
      ) as object),
    })),
    table(
      ['kind', 'project', 'domain', 'workflow', 'value'],
      rows.map(({ kind, one }) => [kind, one.project, one.domain, one.workflow, inLine(one.attributes)]),
    ),
  );
}

const inLine = (attributes: MatchingAttributes | undefined): string => {
  const json = messageJson(messageType, MatchingAttributes, attributes ?? MatchingAttributes.create());
  return JSON.stringify(Object.values(json as object)[0] ?? {});
};

function place({ target }: CommandContext, { workflow, allDomains }: ScopeOptions) {
  if (workflow !== undefined && allDomains)
    throw new UsageError('A workflow is in one domain: give --workflow or --all-domains.');
  return { project: target.project, domain: target.domain, workflow: workflow ?? '', org: '' };
}

function describe(context: CommandContext, options: ScopeOptions): string {
  const { project, domain, workflow } = place(context, options);
  if (options.allDomains) return project;
  return workflow === '' ? `${project}/${domain}` : `${project}/${domain}/${workflow}`;
}

async function read(context: CommandContext, { type }: AttributeKind, options: ScopeOptions) {
  const { admin } = context.connection;
  const at = { ...place(context, options), resourceType: type };
  const answer = options.allDomains
    ? await admin.getProjectAttributes(at)
    : at.workflow === ''
      ? await admin.getProjectDomainAttributes(at)
      : await admin.getWorkflowAttributes(at);
  return answer.attributes?.matchingAttributes;
}

async function write(
  context: CommandContext,
  matchingAttributes: MatchingAttributes,
  options: ScopeOptions,
): Promise<void> {
  const { admin } = context.connection;
  const attributes = { ...place(context, options), matchingAttributes };
  if (options.allDomains) await admin.updateProjectAttributes({ attributes });
  else if (attributes.workflow === '') await admin.updateProjectDomainAttributes({ attributes });
  else await admin.updateWorkflowAttributes({ attributes });
}

async function remove(context: CommandContext, { type }: AttributeKind, options: ScopeOptions): Promise<void> {
  const { admin } = context.connection;
  const at = { ...place(context, options), resourceType: type };
  if (options.allDomains) await admin.deleteProjectAttributes(at);
  else if (at.workflow === '') await admin.deleteProjectDomainAttributes(at);
  else await admin.deleteWorkflowAttributes(at);
}
