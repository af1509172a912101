import { Command } from 'commander';
import {
  DueRun_Action,
  LegalHold,
  PreviewRetentionResponse,
  RetentionPolicy,
  type RetentionScope,
} from '@aloft/idl/aloft/v1/retention';
import { UsageError } from '../failure.js';
import { secondsOf, spanText } from '../inputs/time-span.js';
import { formatTime, messageJson, table } from '../output.js';
import { within, withGlobalOptions, type CommandContext } from './context.js';
import { eraseCommand, erasuresCommand } from './erasures.js';

interface ScopeOptions {
  label?: string;
  allDomains?: boolean;
  everywhere?: boolean;
}

interface PolicyOptions extends ScopeOptions {
  archiveAfter?: string;
  eraseAfter?: string;
}

const policyJson = (policy: RetentionPolicy) => messageJson('aloft.v1.RetentionPolicy', RetentionPolicy, policy);
const holdJson = (hold: LegalHold) => messageJson('aloft.v1.LegalHold', LegalHold, hold);

export function retentionCommand(): Command {
  return new Command('retention')
    .description('how long runs are kept: policies, legal holds, erasing for good')
    .addCommand(
      withPeriods(
        withScope(withGlobalOptions(new Command('set')).description('make or replace the policy of a scope')),
      ).action(async (options: PolicyOptions, command: Command) => {
        if (options.archiveAfter === undefined && options.eraseAfter === undefined)
          throw new UsageError(
            'When?',
            'Give --archive-after, --erase-after or both, e.g. --archive-after 30d --erase-after 365d.',
          );
        await within(command, async (context) => {
          const policy = policyOf(context, options);
          const set = await context.connection.retention.setRetentionPolicy({ policy });
          context.output.result(policyJson(set), `Runs of ${scopeText(set.scope)}: ${periods(set)}.`);
        });
      }),
    )
    .addCommand(
      withScope(withGlobalOptions(new Command('get')).description('the policy of a scope')).action(
        async (options: ScopeOptions, command: Command) => {
          await within(command, async (context) => {
            const found = await context.connection.retention.getRetentionPolicy({ scope: scopeOf(context, options) });
            context.output.result(policyJson(found), `Runs of ${scopeText(found.scope)}: ${periods(found)}.`);
          });
        },
      ),
    )
    .addCommand(
      withScope(withGlobalOptions(new Command('delete')).description('a broader policy counts again, or none')).action(
        async (options: ScopeOptions, command: Command) => {
          await within(command, async (context) => {
            const scope = scopeOf(context, options);
            await context.connection.retention.deleteRetentionPolicy({ scope });
            context.output.result({ deleted: true }, `The policy of ${scopeText(scope)} is gone.`);
          });
        },
      ),
    )
    .addCommand(
      withGlobalOptions(new Command('list'))
        .alias('ls')
        .description('all policies')
        .action(async (_options: object, command: Command) => {
          await within(command, async ({ connection, output }) => {
            const { policies } = await connection.retention.listRetentionPolicies({ org: '', project: '' });
            output.result(
              policies.map(policyJson),
              table(
                ['runs of', 'archived after', 'erased after', 'set by', 'at'],
                policies.map((policy) => [
                  scopeText(policy.scope),
                  span(policy.archiveAfter),
                  span(policy.eraseAfter),
                  policy.principal,
                  formatTime(policy.updatedAt),
                ]),
              ),
            );
          });
        }),
    )
    .addCommand(previewCommand())
    .addCommand(eraseCommand())
    .addCommand(erasuresCommand())
    .addCommand(holdCommand());
}

function withScope(command: Command): Command {
  return command
    .option('--label <key[=value]>', 'only runs with this label')
    .option('--all-domains', 'of the project in every domain')
    .option('--everywhere', 'of every project and domain');
}

function withPeriods(command: Command): Command {
  return command
    .option('--archive-after <span>', 'since the end of a run, e.g. 30d')
    .option('--erase-after <span>', 'the same; then it is gone with all its data');
}

function scopeOf({ target }: CommandContext, { label = '', allDomains, everywhere }: ScopeOptions): RetentionScope {
  const at = label.indexOf('=');
  return {
    org: '',
    project: everywhere ? '' : target.project,
    domain: everywhere || allDomains ? '' : target.domain,
    labelKey: at < 0 ? label : label.slice(0, at),
    labelValue: at < 0 ? '' : label.slice(at + 1),
  };
}

function policyOf(context: CommandContext, options: PolicyOptions): RetentionPolicy {
  const period = (text: string | undefined, name: string) =>
    text === undefined ? undefined : { seconds: secondsOf(text, name) };
  return RetentionPolicy.fromPartial({
    scope: scopeOf(context, options),
    archiveAfter: period(options.archiveAfter, '--archive-after'),
    eraseAfter: period(options.eraseAfter, '--erase-after'),
  });
}

const span = (period: RetentionPolicy['archiveAfter']): string => (period ? spanText(period.seconds) : 'never');

const periods = ({ archiveAfter, eraseAfter }: RetentionPolicy): string =>
  `archived ${archiveAfter ? 'after ' : ''}${span(archiveAfter)}, erased ${eraseAfter ? 'after ' : ''}${span(eraseAfter)}`;

export function scopeText(scope: RetentionScope | undefined): string {
  const { project = '', domain = '', labelKey = '', labelValue = '' } = scope ?? {};
  const at = project === '' && domain === '' ? 'everything' : `${project || '*'}/${domain || '*'}`;
  return labelKey === '' ? at : `${at} with ${labelKey}${labelValue === '' ? '' : `=${labelValue}`}`;
}

function previewCommand(): Command {
  return withPeriods(withScope(withGlobalOptions(new Command('preview'))))
    .description('what the policies would do now; with times, as if this policy were set')
    .option('-l, --limit <n>', 'runs that are listed at most', '100')
    .action(async (options: PolicyOptions & { limit: string }, command: Command) => {
      if (!/^[1-9]\d*$/.test(options.limit))
        throw new UsageError(`--limit must be a whole number from 1, but it is ${options.limit}.`);
      const asks = options.archiveAfter !== undefined || options.eraseAfter !== undefined;
      await within(command, async (context) => {
        const policy = asks ? policyOf(context, options) : undefined;
        const answer = await context.connection.retention.previewRetention({
          org: '',
          policy,
          limit: Number(options.limit),
        });
        context.output.result(
          messageJson('aloft.v1.PreviewRetentionResponse', PreviewRetentionResponse, answer),
          table(
            ['execution', 'would be', 'ended', 'by the policy of', 'kept by'],
            answer.runs.map((run) => [
              `${run.id?.project}/${run.id?.domain}/${run.id?.name}`,
              run.action === DueRun_Action.ERASE ? 'erased' : 'archived',
              formatTime(run.endedAt),
              scopeText(run.policy),
              run.heldBy,
            ]),
          ),
        );
        if (answer.more) context.output.say('There are more: see --limit.');
      });
    });
}

function holdCommand(): Command {
  return new Command('hold')
    .description('legal holds: nothing in their scope is archived by a policy or erased by anybody')
    .addCommand(
      withScope(withGlobalOptions(new Command('set')))
        .description('hold one run, or whatever is in a scope')
        .argument('<id>', 'e.g. the number of the case')
        .argument('[execution]', 'only this run')
        .requiredOption('-r, --reason <text>', 'why')
        .action(
          async (
            id: string,
            execution: string | undefined,
            options: ScopeOptions & { reason: string },
            command: Command,
          ) => {
            await within(command, async (context) => {
              const hold = { id, scope: scopeOf(context, options), execution: execution ?? '', reason: options.reason };
              const set = await context.connection.retention.setLegalHold({ hold: LegalHold.fromPartial(hold) });
              context.output.result(holdJson(set), `${execution ?? scopeText(set.scope)} is held (${id}).`);
            });
          },
        ),
    )
    .addCommand(
      withGlobalOptions(new Command('remove'))
        .description('policies and erasures pass again')
        .argument('<id>')
        .action(async (id: string, _options: object, command: Command) => {
          await within(command, async ({ connection, output }) => {
            await connection.retention.removeLegalHold({ id, org: '' });
            output.result({ id, removed: true }, `Hold ${id} is removed.`);
          });
        }),
    )
    .addCommand(
      withGlobalOptions(new Command('list'))
        .alias('ls')
        .action(async (_options: object, command: Command) => {
          await within(command, async ({ connection, output }) => {
            const { holds } = await connection.retention.listLegalHolds({ org: '', project: '' });
            output.result(
              holds.map(holdJson),
              table(
                ['id', 'on', 'why', 'set by', 'at'],
                holds.map((hold) => [
                  hold.id,
                  hold.execution === ''
                    ? scopeText(hold.scope)
                    : `${hold.scope?.project}/${hold.scope?.domain}/${hold.execution}`,
                  hold.reason,
                  hold.principal,
                  formatTime(hold.setAt),
                ]),
              ),
            );
          });
        }),
    );
}
