import chalk from 'chalk';
import { Command } from 'commander';
import type { Attempt } from '@aloft/idl/aloft/v1/attempts';
import { WaitReason_Kind as Kind } from '@aloft/idl/aloft/v1/bus';
import { ExplainExecutionResponse, ExplainNodeResponse, type NodeExplanation } from '@aloft/idl/aloft/v1/explain';
import { TaskExecution_Phase, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { colourPhase, formatDuration, messageJson, millisecondsOf, table } from '../output.js';
import { attemptJson } from './attempts.js';
import { executionId, within, withGlobalOptions } from './context.js';

/** How many nodes of a run are shown; JSON has as many as the platform gives. */
const shown = 50;

export function whyCommand(): Command {
  return withGlobalOptions(new Command('why'))
    .description("say why a run's nodes aren't running, and why an attempt went where it did")
    .argument('<execution>')
    .argument('[node]', 'only this node, by its unique id, e.g. n1-0-n2')
    .action(async (name: string, nodeId: string | undefined, _options: object, command: Command) => {
      await within(command, async ({ connection, output, target }) => {
        const id = executionId(target, name);
        if (nodeId !== undefined) {
          const answer = await connection.explain.explainNode({ id: { executionId: id, nodeId } });
          const json = messageJson('aloft.v1.ExplainNodeResponse', ExplainNodeResponse, answer) as object;
          const { attempts } = await connection.attempts.listAttempts({ id, nodeId, limit: shown, token: '' });
          const lines = [sentence(answer.node!), ...attempts.map(whereItWent)];
          output.result({ ...json, attempts: attempts.map(attemptJson) }, lines.join('\n'));
          return;
        }
        const answer = await connection.explain.explainExecution({ id, limit: 0 });
        const json = messageJson('aloft.v1.ExplainExecutionResponse', ExplainExecutionResponse, answer);
        output.result(json, overview(name, answer));
      });
    });
}

function whereItWent(attempt: Attempt): string {
  const { retryAttempt, phase, route, why } = attempt;
  const told = `Attempt ${retryAttempt} ${colourPhase(TaskExecution_Phase[phase] ?? '')}`;
  return route ? `${told}: ${why.replace(/^Goes to/, 'went to')}` : `${told}.`;
}

const words = (wait: NodeExplanation['wait']): string => wait?.detail ?? '';
const isWaiting = ({ wait }: NodeExplanation): boolean => wait !== undefined && wait.kind !== Kind.NONE;

function ages({ wait }: NodeExplanation): { since: string; until: string } {
  const from = wait?.since && formatDuration(Date.now() - millisecondsOf(wait.since));
  const left = wait?.until && millisecondsOf(wait.until) - Date.now();
  return { since: from ?? '', until: left !== undefined && left > 0 ? `in ${formatDuration(left)}` : '' };
}

function sentence(node: NodeExplanation): string {
  const { since, until } = ages(node);
  const state = `${chalk.bold(node.nodeId)} is ${node.state}`;
  if (!node.wait) return `${state}.`;
  const kind = isWaiting(node) ? chalk.blue(Kind[node.wait.kind]) : '';
  const goes = until === '' ? '' : `; it goes on, or looks again, ${until}`;
  return `${state}${kind && ` (${kind})`}: ${words(node.wait)}${since && `, for ${since}`}${goes}.`;
}

function overview(name: string, answer: ExplainExecutionResponse): string {
  const { phase, nodes, inFlight, dependent, quarantineReason } = answer;
  const lines = [`${chalk.bold(name)} ${colourPhase(WorkflowExecution_Phase[phase] ?? '')}`];
  if (quarantineReason !== '') lines.push(chalk.red(`The run is set aside: ${quarantineReason}`));
  if (inFlight === 0 && dependent === 0) {
    const begun = phase > WorkflowExecution_Phase.QUEUED;
    return [...lines, begun ? 'Nothing of it waits.' : 'It has not begun: its start is on its way.'].join('\n');
  }
  const waiting = nodes.filter(isWaiting).length;
  lines.push(`${inFlight} in flight, ${waiting} of them waiting; ${dependent} more depend on them.`);
  lines.push(
    table(
      ['node', 'state', 'waits for', 'since', 'goes on'],
      nodes.slice(0, shown).map((node) => {
        const { since, until } = ages(node);
        return [
          node.nodeId,
          node.state,
          isWaiting(node) ? words(node.wait) : chalk.dim(words(node.wait)),
          since,
          until,
        ];
      }),
    ),
  );
  if (inFlight > shown) lines.push(chalk.dim(`… and ${inFlight - shown} more; --output json has them`));
  return lines.join('\n');
}
