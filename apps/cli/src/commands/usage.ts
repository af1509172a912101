import chalk from 'chalk';
import { Command } from 'commander';
import { GetUsageResponse, type UsageSum } from '@aloft/idl/aloft/v1/attempts';
import { UsageError } from '../failure.js';
import { formatDuration, messageJson, table } from '../output.js';
import { executionId, within, withGlobalOptions } from './context.js';

export function usageCommand(): Command {
  return withGlobalOptions(new Command('usage'))
    .description('what a run used of cpu and memory, beside what it had asked for; by node and altogether')
    .argument('<execution>')
    .option('-l, --limit <n>', 'at most so many nodes, those that held most first', '20')
    .action(async (name: string, { limit }: { limit: string }, command: Command) => {
      const most = Number(limit);
      if (!Number.isInteger(most) || most < 1)
        throw new UsageError(`--limit must be a whole number from 1, but it is ${limit}.`);
      await within(command, async ({ connection, output, target }) => {
        const answer = await connection.attempts.getUsage({ id: executionId(target, name), limit: most });
        output.result(messageJson('aloft.v1.GetUsageResponse', GetUsageResponse, answer), overview(answer));
      });
    });
}

function overview({ total, nodes, nodeCount }: GetUsageResponse): string {
  if (!total || total.attempts === 0) return chalk.dim('No task of it has begun.');
  const lines = [
    table(
      ['node', 'attempts', 'ran', 'cpu', 'of requested', 'memory', 'of requested', 'peak', 'gpu'],
      [
        ...nodes.map(({ nodeId, usage }) => [nodeId, ...cells(usage!)]),
        ...(nodeCount > 1 ? [[chalk.bold('all'), ...cells(total)]] : []),
      ],
    ),
  ];
  if (nodeCount > nodes.length)
    lines.push(chalk.dim(`… and ${nodeCount - nodes.length} more nodes; --limit shows them`));
  if (total.reserved > 0)
    lines.push(
      chalk.dim(
        `Of ${countOf(total.reserved)} what was reserved is known, and counted as used; not what was really used.`,
      ),
    );
  if (total.unknown > 0) lines.push(chalk.dim(`Of ${countOf(total.unknown)} their backends don't know what was used.`));
  return lines.join('\n');
}

const countOf = (count: number): string => (count === 1 ? '1 attempt' : `${count} attempts`);

function cells(sum: UsageSum): string[] {
  return [
    String(sum.attempts),
    formatDuration(sum.seconds * 1000),
    sum.cpuSeconds > 0 ? formatDuration(sum.cpuSeconds * 1000) : '',
    share(sum.cpuSeconds, sum.requestedCpuSeconds, (seconds) => formatDuration(seconds * 1000)),
    sum.memoryByteSeconds > 0 ? gibibyteHours(sum.memoryByteSeconds) : '',
    share(sum.memoryByteSeconds, sum.requestedMemoryByteSeconds, gibibyteHours),
    sum.peakMemoryBytes > 0n ? bytes(Number(sum.peakMemoryBytes)) : '',
    sum.requestedGpuSeconds > 0 ? formatDuration(sum.requestedGpuSeconds * 1000) : '',
  ];
}

/** `12 % of 3 m 05 s`. */
function share(used: number, requested: number, text: (amount: number) => string): string {
  if (requested === 0) return '';
  return used > 0 ? `${Math.round((used / requested) * 100)} % of ${text(requested)}` : text(requested);
}

function gibibyteHours(byteSeconds: number): string {
  const hours = byteSeconds / 2 ** 30 / 3600;
  return `${hours >= 0.01 || hours === 0 ? hours.toFixed(2) : hours.toPrecision(2)} GiB h`;
}

function bytes(amount: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const at = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, amount)) / 10));
  return `${(amount / 2 ** (10 * at)).toFixed(at === 0 ? 0 : 1)} ${units[at]}`;
}
