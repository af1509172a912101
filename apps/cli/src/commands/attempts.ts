import { Attempt } from '@aloft/idl/aloft/v1/attempts';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { UsageError } from '../failure.js';
import { colourPhase, formatDuration, messageJson, millisecondsOf } from '../output.js';
import { executionId } from './context.js';
import type { Lister } from './listings.js';

export const attemptJson = (attempt: Attempt) => messageJson('aloft.v1.Attempt', Attempt, attempt);

/** The sentence without what stands beside it. */
export const reasonOf = ({ why, route }: Attempt): string => why.replace(`Goes to ${route?.backend ?? ''}`, '').trim();

/** Attempts of all tasks of an execution, with where they went. */
export const listAttempts: Lister = async ({ connection, target }, name, { limit, token }) => {
  if (name === undefined) throw new UsageError('Which execution?', 'aloft get attempts <execution>');
  const answer = await connection.attempts.listAttempts({ id: executionId(target, name), nodeId: '', limit, token });
  return {
    json: answer.attempts.map(attemptJson),
    head: ['node', 'attempt', 'phase', 'task', 'took', 'backend', 'capacity', 'why there'],
    rows: answer.attempts.map((attempt) => [
      attempt.nodeId,
      String(attempt.retryAttempt),
      colourPhase(TaskExecution_Phase[attempt.phase] ?? ''),
      attempt.task?.name ?? '',
      tookOf(attempt),
      attempt.route?.backend ?? '',
      capacityOf(attempt),
      reasonOf(attempt).replace(/^[,] |[.]$/g, ''),
    ]),
    token: answer.token,
  };
};

const capacityOf = ({ interruptible }: Attempt): string =>
  interruptible === undefined ? '' : interruptible ? 'spot' : 'on demand';

function tookOf({ startedAt, endedAt }: Attempt): string {
  if (!startedAt) return '';
  return formatDuration((endedAt ? millisecondsOf(endedAt) : Date.now()) - millisecondsOf(startedAt));
}
