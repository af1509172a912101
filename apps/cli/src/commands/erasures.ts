import { Command } from 'commander';
import { setTimeout as wait } from 'node:timers/promises';
import { EraseExecutionResponse, Erasure, Erasure_State, type Removed } from '@aloft/idl/aloft/v1/retention';
import { exitCodes } from '../failure.js';
import { formatTime, messageJson, table } from '../output.js';
import { executionId, within, withGlobalOptions } from './context.js';
import { pageOf, show } from './listings.js';

interface EraseOptions {
  dryRun?: boolean;
  reason: string;
  uid?: string;
  watch?: boolean;
}

/** The platform itself waits for the end for a while; between two questions of ours it is left alone. */
const askedAgainMs = 2_000;

export function eraseCommand(): Command {
  return withGlobalOptions(new Command('erase'))
    .description('remove an ended run for good, with its children, data, results and log; prints the receipt')
    .argument('<execution>')
    .option('--dry-run', 'only say what would go')
    .option('-r, --reason <text>', 'for the receipt', '')
    .option('--uid <id>', 'only if the run of that name is this one')
    .option('-w, --watch', 'wait until it is done, however long that takes')
    .action(async (name: string, { dryRun = false, reason, uid = '', watch }: EraseOptions, command: Command) => {
      await within(command, async ({ connection, output, target }) => {
        const ask = () => connection.retention.eraseExecution({ id: executionId(target, name), uid, dryRun, reason });
        let answer = await ask();
        while (watch && !dryRun && answer.erasures.some(({ state }) => state !== Erasure_State.DONE)) {
          for (const { problem } of answer.erasures) if (problem) output.say(problem);
          await wait(askedAgainMs);
          answer = await ask();
        }
        output.result(
          messageJson('aloft.v1.EraseExecutionResponse', EraseExecutionResponse, answer),
          answer.erasures.map(receipt).join('\n'),
        );
        if (dryRun && answer.erasures.some(({ problem }) => problem !== '')) process.exitCode = exitCodes.runFailed;
      });
    });
}

export function erasuresCommand(): Command {
  return withGlobalOptions(new Command('erasures'))
    .description('receipts of the project and domain, newest first, or one of them')
    .argument('[id]')
    .option('-l, --limit <n>', 'at most so many', '20')
    .option('--token <token>', 'continue where an earlier list ended')
    .action(async (id: string | undefined, options: { limit: string; token?: string }, command: Command) => {
      const { limit, token } = pageOf(options);
      await within(command, async (context) => {
        const { connection, output, target } = context;
        if (id !== undefined) {
          const erasure = await connection.retention.getErasure({ id });
          return output.result(erasureJson(erasure), receipt(erasure));
        }
        const { project, domain } = target;
        const answer = await connection.retention.listErasures({ org: '', project, domain, name: '', limit, token });
        show(context, {
          json: answer.erasures.map(erasureJson),
          head: ['erasure', 'execution', 'state', 'objects', 'bytes', 'by', 'asked'],
          rows: answer.erasures.map((one) => [
            one.id,
            one.execution?.name ?? '',
            Erasure_State[one.state]!.toLowerCase(),
            String(one.removed?.objects ?? ''),
            String(one.removed?.bytes ?? ''),
            one.principal,
            formatTime(one.requestedAt),
          ]),
          token: answer.token,
        });
      });
    });
}

const erasureJson = (erasure: Erasure) => messageJson('aloft.v1.Erasure', Erasure, erasure);

function receipt({ id, execution, executionUid, state, problem, removed, doneAt }: Erasure): string {
  const what = {
    [Erasure_State.PREVIEW]: 'would be erased',
    [Erasure_State.RUNNING]: `is being erased (${id})`,
    [Erasure_State.DONE]: `was erased at ${formatTime(doneAt)} (${id})`,
  }[state as 0 | 1 | 2];
  const lines = [`${execution?.project}/${execution?.domain}/${execution?.name} (${executionUid}) ${what}`];
  if (problem !== '')
    lines.push(`  ${state === Erasure_State.PREVIEW ? 'It would be refused' : 'Not yet'}: ${problem}`);
  if (removed) lines.push(table(['', ''], rowsOf(removed)));
  return lines.join('\n');
}

function rowsOf(removed: Removed): string[][] {
  return [
    ['  rows', String(removed.rows)],
    ['  objects', `${removed.objects} of ${removed.bytes} bytes`],
    ['  results in the catalog', String(removed.cacheEntryCount)],
    ...(removed.history === '' ? [] : [['  log', `${removed.history} (${removed.historyBytes} bytes)`]]),
    ...removed.places.slice(0, 10).map((place) => ['  under', place]),
    ...removed.left.map((place) => ['  left (not the platform’s)', place]),
  ];
}
