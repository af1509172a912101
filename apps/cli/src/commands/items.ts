import { Command } from 'commander';
import { Item } from '@aloft/idl/aloft/v1/attempts';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { UsageError } from '../failure.js';
import { colourPhase, messageJson } from '../output.js';
import { executionId, within, withGlobalOptions } from './context.js';
import { show } from './listings.js';

interface ItemsOptions {
  attempt?: number;
  phase: Phase[];
  limit: number;
  token: string;
}

/** Items of an array, page by page (C-147). */
export function itemsCommand(): Command {
  return withGlobalOptions(new Command('items'))
    .description('items of an array node, by their indexes')
    .argument('<execution>')
    .argument('<node>', "the array's unique id, e.g. n0 or n0-0-n1")
    .option('--attempt <n>', "of this attempt of the node; else its last one's", (text) =>
      wholeNumber('--attempt', text),
    )
    .option('--phase <phase>', 'only items in it; may be given more than once', addPhase, [])
    .option('-l, --limit <n>', 'at most so many', (text) => wholeNumber('--limit', text), 20)
    .option('--token <token>', "continue where an earlier list ended; or the first item's index", '')
    .action(async (name: string, nodeId: string, { attempt, phase, limit, token }: ItemsOptions, command: Command) => {
      await within(command, async (context) => {
        const { connection, target } = context;
        const answer = await connection.attempts.listItems({
          ...{ id: executionId(target, name), nodeId, retryAttempt: attempt },
          ...{ phases: phase, limit, token },
        });
        const { size, succeeded, failed, active } = answer;
        context.output.say(`${size} items: ${succeeded} succeeded, ${failed} failed, ${active} in flight`);
        show(context, {
          json: answer.items.map((item) => messageJson('aloft.v1.Item', Item, item)),
          head: ['item', 'attempt', 'phase', 'cache', 'name', 'logs'],
          rows: answer.items.map((item) => [
            String(item.index),
            String(item.retryAttempt),
            item.phase === Phase.UNDEFINED ? 'not begun' : colourPhase(Phase[item.phase] ?? ''),
            item.cacheStatus === CatalogCacheStatus.CACHE_HIT ? 'hit' : '',
            item.child?.name ?? item.externalId,
            item.logs[0]?.uri ?? '',
          ]),
          token: answer.token,
        });
      });
    });
}

function wholeNumber(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`${option} must be a whole number, but it is ${text}.`);
  return Number(text);
}

function addPhase(name: string, before: Phase[]): Phase[] {
  const phase = name.toUpperCase() as keyof typeof Phase;
  if (!Number.isInteger(Phase[phase])) {
    const names = Object.keys(Phase).filter((key) => /^[A-Z_]+$/.test(key) && key !== 'UNRECOGNIZED');
    throw new UsageError(`--phase must be one of ${names.join(', ')}, but it is ${name}.`);
  }
  return [...before, Phase[phase]];
}
