import chalk from 'chalk';
import { Command } from 'commander';
import { AloftError } from '@aloft/errors';
import type { NodeExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Connection } from '../connection.js';
import { UsageError } from '../failure.js';
import type { Output } from '../output.js';
import { followRun, snapshotOf } from '../watch/watch.js';
import { executionId, within, withGlobalOptions } from './context.js';

interface Options {
  follow?: boolean;
  tail: string;
  attempt?: string;
  index?: string;
}

export function logsCommand(): Command {
  return withGlobalOptions(new Command('logs'))
    .description("print what a run's tasks wrote")
    .argument('<execution>')
    .argument('[node]', 'only this node, e.g. n2')
    .option('-F, --follow', 'go on until the end')
    .option('--tail <lines>', 'only the last lines of what there is', '0')
    .option('--attempt <n>', 'which attempt, from 0 (default: the latest)')
    .option('--index <i>', 'which item of a map')
    .action(async (name: string, node: string | undefined, options: Options, command: Command) => {
      await within(command, async ({ connection, output, target }) => {
        const execution = executionId(target, name);
        const printer = new LogPrinter(connection, output, {
          follow: options.follow ?? false,
          tailLines: whole('--tail', options.tail) ?? 0,
          index: whole('--index', options.index),
        });
        const attempt = whole('--attempt', options.attempt);
        const { nodes, tasks } = await snapshotOf(connection, execution);
        const wanted = nodes.filter(
          ({ id, metadata }) => node === undefined || id?.nodeId === node || metadata?.specNodeId === node,
        );
        if (node !== undefined && wanted.length === 0) {
          const known = nodes.map(({ id }) => id!.nodeId).filter((id) => !/(start|end)-node$/.test(id));
          throw new UsageError(`${name} has no node '${node}'.`, `It has ${known.join(', ') || 'none yet'}.`);
        }
        const shown = new Set<string>();
        const streams: Promise<void>[] = [];
        const show = (id: NodeExecutionIdentifier, retryAttempt: number, label: string): void => {
          const key = `${id.nodeId}/${retryAttempt}`;
          if (shown.has(key)) return;
          shown.add(key);
          streams.push(printer.print(id, retryAttempt, label));
        };
        for (const { id } of wanted) {
          const attempts = tasks
            .filter((task) => task.id?.nodeExecutionId?.nodeId === id?.nodeId)
            .map((task) => task.id!.retryAttempt)
            .sort((a, b) => a - b);
          const chosen = attempt ?? attempts.at(-1);
          if (chosen !== undefined) show(id!, chosen, node === undefined ? id!.nodeId : '');
          // Without --follow, one node after the other keeps their lines together.
          if (!options.follow) await Promise.all(streams);
        }
        if (options.follow && node === undefined)
          await followRun(connection, execution, {
            onChange: (_run, changed) => {
              if (changed?.taskName) show({ nodeId: changed.id, executionId: execution }, changed.attempt, changed.id);
            },
          });
        await Promise.all(streams);
      });
    });
}

function whole(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw new UsageError(`${option} must be a whole number from 0, but it is ${text}.`);
  return value;
}

class LogPrinter {
  constructor(
    private readonly connection: Connection,
    private readonly output: Output,
    private readonly options: { follow: boolean; tailLines: number; index?: number },
  ) {}

  async print(node: NodeExecutionIdentifier, retryAttempt: number, label: string): Promise<void> {
    const decoder = new TextDecoder();
    let rest = '';
    const line = (text: string): void =>
      this.output.item(
        { node: node.nodeId, attempt: retryAttempt, line: text },
        label ? `${chalk.dim(`${label} │`)} ${text}` : text,
      );
    try {
      for await (const { data } of this.connection.logs.streamLogs({ node, retryAttempt, ...this.options })) {
        const lines = (rest + decoder.decode(data, { stream: true })).split('\n');
        rest = lines.pop() ?? '';
        lines.forEach(line);
      }
    } catch (error) {
      // A node that never ran here, one from the catalog say, has no output to show.
      if (!(error instanceof AloftError) || error.code !== 'NOT_FOUND') throw error;
    }
    if (rest) line(rest);
  }
}
