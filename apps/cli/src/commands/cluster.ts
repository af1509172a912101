import chalk from 'chalk';
import { Command } from 'commander';
import { GetLoadResponse } from '@aloft/idl/aloft/v1/attempts';
import { UsageError } from '../failure.js';
import { messageJson, table } from '../output.js';
import { within, withGlobalOptions } from './context.js';

/** Parts of the curve: one character each. */
const parts = 60;

export function clusterCommand(): Command {
  const usage = withGlobalOptions(new Command('usage'))
    .description('how many attempts ran at once on each backend over the last while (of the project and domain)')
    .option('--minutes <n>', 'how long that while is', '60')
    .action(async ({ minutes }: { minutes: string }, command: Command) => {
      const seconds = Math.round(Number(minutes) * 60);
      if (!Number.isFinite(seconds) || seconds < 1)
        throw new UsageError(`--minutes must be a number above 0, but it is ${minutes}.`);
      await within(command, async ({ connection, output, target: { project, domain } }) => {
        const answer = await connection.attempts.getLoad({ project, domain, org: '', seconds, parts });
        output.result(messageJson('aloft.v1.GetLoadResponse', GetLoadResponse, answer), overview(answer, minutes));
      });
    });
  return new Command('cluster').description('what runs where').addCommand(usage);
}

function overview({ backends, isPartial, attempts }: GetLoadResponse, minutes: string): string {
  if (backends.length === 0) return chalk.dim(`Nothing ran in the last ${minutes} minutes.`);
  const rows = backends.map(({ backend, running }) => {
    const most = Math.max(...running);
    return [backend || '?', String(running.at(-1) ?? 0), String(most), running.map((n) => bar(n, most)).join('')];
  });
  const lines = [table(['backend', 'now', 'most', `at once, over the last ${minutes} minutes`], rows)];
  if (isPartial) lines.push(chalk.dim(`Of the newest runs alone, with ${attempts} attempts: there were more.`));
  return lines.join('\n');
}

const bars = [...'▁▂▃▄▅▆▇█'];

/** Nothing is a blank; the least that runs is seen. */
const bar = (running: number, most: number): string =>
  running === 0 ? ' ' : bars[Math.ceil((running / most) * bars.length) - 1]!;
