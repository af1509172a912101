import chalk from 'chalk';
import { Command } from 'commander';
import { type ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import { HistoryEntry } from '@aloft/idl/aloft/v1/history';
import { NodeExecution_Phase, TaskExecution_Phase, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { messageJson, millisecondsOf } from '../output.js';
import { UsageError } from '../failure.js';
import { executionId, within, withGlobalOptions } from './context.js';

interface Options {
  from: string;
  limit: string;
  inputsOnly?: boolean;
}

export function historyCommand(): Command {
  return withGlobalOptions(new Command('history'))
    .description('print the event log of a run: what came in, and what it caused')
    .argument('<execution>')
    .option('--from <n>', 'begin with this entry', '1')
    .option('-l, --limit <n>', 'at most so many entries; 0 for all', '0')
    .option('--inputs-only', 'without what each caused, which has to be derived from the first entry on')
    .action(async (name: string, options: Options, command: Command) => {
      const firstEntry = whole('--from', options.from, 1n);
      const limit = whole('--limit', options.limit, 0n);
      await within(command, async ({ connection, output, target }) => {
        const request = { id: executionId(target, name), firstEntry, limit, entriesOnly: options.inputsOnly ?? false };
        let last: bigint | undefined;
        for await (const entry of connection.history.streamHistory(request)) {
          last = entry.number;
          output.item(messageJson('aloft.v1.HistoryEntry', HistoryEntry, entry), entryText(entry));
        }
        if (last === undefined) output.say(`${name} has no entry ${firstEntry}.`);
        else if (limit > 0n && last === firstEntry + limit - 1n && !output.isJson)
          output.say(`More: --from ${last + 1n}`);
      });
    });
}

function whole(option: string, text: string, least: bigint): bigint {
  if (!/^\d{1,18}$/.test(text) || BigInt(text) < least)
    throw new UsageError(`${option} must be a whole number from ${least}, but it is ${text}.`);
  return BigInt(text);
}

const clock = (entry: HistoryEntry): string =>
  entry.time ? new Date(millisecondsOf(entry.time)).toISOString().replace('T', ' ').replace('Z', '') : '';

function entryText(entry: HistoryEntry): string {
  const caused = [
    ...entry.events.map(eventText),
    ...entry.effects.map(({ kind, detail }) => `${chalk.dim(kind)} ${detail}`),
  ];
  return [
    `${chalk.bold(String(entry.number).padStart(6))}  ${chalk.dim(clock(entry))}  ${entry.summary}`,
    ...caused.map((line) => `${' '.repeat(8)}→ ${line}`),
  ].join('\n');
}

function eventText({ sequence, event, waiting }: ExecutionEvent): string {
  const why = waiting?.detail ? chalk.dim(` (${waiting.detail})`) : '';
  return `${chalk.dim(`#${sequence}`)} ${whatOf(event)}${why}`;
}

function whatOf(event: ExecutionEvent['event']): string {
  switch (event?.$case) {
    case 'workflow':
      return `run ${WorkflowExecution_Phase[event.value.phase]}`;
    case 'node':
      return `node ${event.value.id?.nodeId} ${NodeExecution_Phase[event.value.phase]}`;
    case 'task': {
      const { parentNodeExecutionId, retryAttempt, phase } = event.value;
      return `task of ${parentNodeExecutionId?.nodeId}, attempt ${retryAttempt}, ${TaskExecution_Phase[phase]}`;
    }
    case 'gateReached':
      return `signal ${event.value.signalId} exists`;
    case 'wait':
      return `node ${event.value.nodeId} waits: ${event.value.detail}`;
    default:
      return event?.$case ?? 'an event';
  }
}
