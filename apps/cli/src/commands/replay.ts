import chalk from 'chalk';
import { Command } from 'commander';
import { AloftError } from '@aloft/errors';
import {
  GetExecutionAtResponse,
  ReplayExecutionResponse,
  type GetExecutionAtRequest,
} from '@aloft/idl/aloft/v1/history';
import { Sort_Direction } from '@aloft/idl/flyteidl/admin/common';
import { exitCodes, UsageError } from '../failure.js';
import { messageJson, millisecondsOf, table } from '../output.js';
import { RunState } from '../watch/run-state.js';
import { renderTree } from '../watch/tree.js';
import { executionId, within, withGlobalOptions, type CommandContext } from './context.js';

interface Options {
  at?: string;
  all?: boolean;
  filter: string;
  limit: string;
}

export function replayCommand(): Command {
  return withGlobalOptions(new Command('replay'))
    .description(
      "derive a run's state anew from its log and compare it with what is stored; exit code 1 when something differs",
    )
    .argument('[execution]')
    .option('--at <time|#entry>', 'show the run as it was then instead: 2026-11-27T01:30:00Z, 5m (ago), or #17')
    .option('--all', 'all runs of the project and domain')
    .option('--filter <filter>', "with --all: Flyte's filter expression, e.g. 'eq(phase,FAILED)'", '')
    .option('-l, --limit <n>', 'with --all: at most so many runs, the newest; 0 for every one', '0')
    .action(async (name: string | undefined, options: Options, command: Command) => {
      if ((name === undefined) !== (options.all ?? false))
        throw new UsageError('Which run? Name one, or give --all.', 'aloft replay <execution> | aloft replay --all');
      if (options.all && options.at !== undefined)
        throw new UsageError('--at shows one run: name it instead of --all.');
      await within(command, async (context) => {
        if (options.at !== undefined) return showAt(context, name!, options.at);
        const equal = options.all
          ? await replayAll(context, options.filter, wholeNumber(options.limit))
          : await replayOne(context, name!);
        if (!equal) process.exitCode = exitCodes.runFailed;
      });
    });
}

async function replayOne({ connection, output, target }: CommandContext, name: string): Promise<boolean> {
  const answer = await connection.history.replayExecution({ id: executionId(target, name) }, { deadlineMs: Infinity });
  const json = messageJson('aloft.v1.ReplayExecutionResponse', ReplayExecutionResponse, answer);
  output.item({ execution: name, ...(json as object) }, verdict(name, answer));
  return answer.equal;
}

async function replayAll(context: CommandContext, filters: string, limit: number): Promise<boolean> {
  const { connection, output, target } = context;
  let [seen, runs, unequal, token] = [0, 0, 0, ''];
  do {
    const page = await connection.admin.listExecutions({
      id: { org: '', project: target.project, domain: target.domain, name: '' },
      limit: limit === 0 ? 100 : Math.min(100, limit - seen),
      token,
      filters,
      sortBy: { key: 'created_at', direction: Sort_Direction.DESCENDING },
    });
    for (const { id } of page.executions) {
      seen++;
      const equal = await replayOne(context, id!.name).catch((error: unknown) =>
        cannotBeReplayed(context, id!.name, error),
      );
      if (equal === undefined) continue;
      runs++;
      if (!equal) unequal++;
    }
    ({ token } = page);
  } while (token !== '' && (limit === 0 || seen < limit));
  output.say(`${runs} runs replayed, ${unequal === 0 ? 'all equal' : chalk.red(`${unequal} differ`)}.`);
  return unequal === 0;
}

/** With --all, a run that has no log here (an external engine's) is told of and left out. */
function cannotBeReplayed({ output }: CommandContext, name: string, error: unknown): undefined {
  if (!(error instanceof AloftError) || error.code !== 'FAILED_PRECONDITION') throw error;
  output.say(`${chalk.dim('–')} ${chalk.bold(name)} not replayed: ${error.message}`);
}

function verdict(name: string, answer: ReplayExecutionResponse): string {
  const { equal, differences, entries, events, nodes, tasks, snapshotCompared } = answer;
  const with_ = `${entries} entries, ${events} events; ${nodes} nodes and ${tasks} attempts of the read model`;
  const extent = `${with_}${snapshotCompared ? ', the snapshot' : ''}`;
  if (equal) return `${chalk.green('✔')} ${chalk.bold(name)} equal ${chalk.dim(`(${extent})`)}`;
  const rows = differences.map(({ where, what, field, derived, stored }) => [where, what, field, derived, stored]);
  return [
    `${chalk.red('✘')} ${chalk.bold(name)} differs ${chalk.dim(`(${extent})`)}`,
    table(['where', 'what', 'field', 'the log says', 'stored is'], rows),
  ].join('\n');
}

async function showAt({ connection, output, target }: CommandContext, name: string, text: string): Promise<void> {
  const moment = momentOf(text);
  const answer = await connection.history.getExecutionAt(
    { id: executionId(target, name), moment },
    { deadlineMs: Infinity },
  );
  const run = new RunState();
  run.applySnapshot(answer.snapshot!);
  const then = moment.$case === 'time' ? moment.value : answer.entryTime;
  const tree = renderTree(run, name, then ? millisecondsOf(then) : Date.now());
  const when = answer.entryTime ? `, ${new Date(millisecondsOf(answer.entryTime)).toISOString()}` : '';
  output.result(
    messageJson('aloft.v1.GetExecutionAtResponse', GetExecutionAtResponse, answer),
    `${chalk.dim(`After entry ${answer.entry} of ${answer.entries}${when}:`)}\n${tree}`,
  );
}

const units: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** An entry's number, a moment, or how long ago. */
export function momentOf(text: string, now = Date.now()): NonNullable<GetExecutionAtRequest['moment']> {
  const entry = /^#(\d{1,18})$/.exec(text);
  if (entry) return { $case: 'entry', value: BigInt(entry[1]!) };
  const ago = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text);
  const ms = ago ? now - Number(ago[1]) * units[ago[2]!]! : Date.parse(text);
  if (Number.isNaN(ms))
    throw new UsageError(
      `--at must be a time, how long ago, or an entry's number, but it is ${text}.`,
      'As in 2026-11-27T01:30:00Z, 5m or #17 (aloft history prints the numbers).',
    );
  const seconds = Math.floor(ms / 1000);
  return { $case: 'time', value: { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) } };
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw new UsageError(`--limit must be a whole number from 0, but it is ${text}.`);
  return value;
}
