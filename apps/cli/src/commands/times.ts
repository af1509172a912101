import { Command } from 'commander';
import { WorkflowExecutionGetMetricsResponse } from '@aloft/idl/flyteidl/admin/execution';
import type { Span } from '@aloft/idl/flyteidl/core/metrics';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { UsageError } from '../failure.js';
import { formatDuration, messageJson, table } from '../output.js';
import { executionId, within, withGlobalOptions } from './context.js';

/** Where a run's time went (GetExecutionMetrics): a line a part, under what it is a part of. */
export function timesCommand(): Command {
  return withGlobalOptions(new Command('times'))
    .description('where its time went: setup, running, waiting, of the run and of what it consists of')
    .argument('<execution>')
    .option('--depth <n>', 'levels below the run; 0: the run as a whole', '10')
    .action(async (name: string, options: { depth: string }, command: Command) => {
      const depth = Number(options.depth);
      if (!Number.isInteger(depth) || depth < 0)
        throw new UsageError(`--depth must be a whole number from 0, but it is ${options.depth}.`);
      await within(command, async ({ connection, output, target }) => {
        const answer = await connection.admin.getExecutionMetrics({ id: executionId(target, name), depth });
        const type = 'flyteidl.admin.WorkflowExecutionGetMetricsResponse';
        const json = messageJson(type, WorkflowExecutionGetMetricsResponse, answer);
        const rows = answer.span ? rowsOf(answer.span, answer.span, 0) : [];
        output.result(json, table(['part', 'after', 'took', ''], rows));
      });
    });
}

function rowsOf(span: Span, run: Span, level: number): string[][] {
  const [took, whole] = [lengthOf(span), lengthOf(run)];
  const row = [
    `${'  '.repeat(level)}${nameOf(span)}`,
    formatDuration(millisecondsAt(span.startTime) - millisecondsAt(run.startTime)),
    formatDuration(took),
    whole === 0 ? '' : `${((100 * took) / whole).toFixed(1)} %`,
  ];
  return [row, ...span.spans.flatMap((part) => rowsOf(part, run, level + 1))];
}

function nameOf({ id }: Span): string {
  switch (id?.$case) {
    case 'workflowId':
      return id.value.name;
    case 'nodeId':
      return id.value.nodeId;
    case 'taskId':
      return `attempt ${id.value.retryAttempt}`;
    case 'operationId':
      return id.value.toLowerCase().replaceAll('_', ' ');
    default:
      return '';
  }
}

const lengthOf = ({ startTime, endTime }: Span): number => millisecondsAt(endTime) - millisecondsAt(startTime);

/** In milliseconds. */
const millisecondsAt = (time: Timestamp | undefined): number =>
  time ? Number(time.seconds) * 1000 + time.nanos / 1_000_000 : 0;
