import type { Effect } from '@aloft/engine';
import { CacheLookedUp_Result, type EngineInput, type RequestAnswered } from '@aloft/idl/aloft/v1/engine';
import type { HistoryEffect } from '@aloft/idl/aloft/v1/history';
import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { dateOf } from '../time.js';

/** Log entries and effects in a line for people; programs read the messages themselves. */

const nameOf = (attempt: TaskAttempt | undefined): string =>
  attempt
    ? `${attempt.nodeId}${attempt.index === undefined ? '' : `[${attempt.index}]`} attempt ${attempt.retryAttempt}`
    : 'an attempt';

const because = (reason: string): string => (reason === '' ? '' : `: ${reason}`);

export function summaryOf(input: EngineInput | undefined): string {
  const given = input?.input;
  switch (given?.$case) {
    case 'started':
      return `started${given.value.recoverFrom ? `, recovering ${given.value.recoverFrom.name}` : ''} by ${given.value.settings?.principal || 'nobody in particular'}`;
    case 'taskReported': {
      const { attempt, phase, phaseVersion, reason, outcome } = given.value;
      const version = phaseVersion > 0 ? ` (${phaseVersion})` : '';
      const error = outcome?.result?.$case === 'error' ? outcome.result.value : undefined;
      return `${nameOf(attempt)} is ${TaskExecution_Phase[phase]}${version}${because(error ? `${error.code}: ${error.message}` : reason)}`;
    }
    case 'answered':
      return `request ${given.value.request} answered: ${answerOf(given.value)}`;
    case 'timerFired':
      return `timer ${given.value.timer} fired`;
    case 'signalSet':
      return `signal ${given.value.signalId} set by ${given.value.principal || 'nobody in particular'}`;
    case 'childEnded':
      return `child ${given.value.child?.name} of ${given.value.parent?.nodeId} is ${WorkflowExecution_Phase[given.value.phase]}`;
    case 'abortRequested':
      return `abort asked for by ${given.value.principal || 'nobody in particular'}${because(given.value.cause)}`;
    case undefined:
      return 'an input that this version does not know';
    default:
      // Inputs that are added later say at least what they are.
      return (given as { $case: string }).$case;
  }
}

function answerOf({ answer }: RequestAnswered): string {
  switch (answer?.$case) {
    case 'cache': {
      const held = answer.value.holder === '' ? '' : `, held by ${answer.value.holder}`;
      return `cache ${CacheLookedUp_Result[answer.value.result]}${held}`;
    }
    case 'cacheStored':
      return answer.value.failed ? `not put into the cache${because(answer.value.reason)}` : 'put into the cache';
    case 'graph':
      return 'the generated workflow is compiled';
    case 'loaded':
      return 'literals were read';
    case 'stored':
      return `literals were written to ${answer.value.stored?.uri}`;
    case 'child':
      return `child ${answer.value.child?.name} exists`;
    case 'recovered':
      return answer.value.found ? 'the recovered run has its outputs' : 'the recovered run has no outputs of it';
    case 'error':
      return `${answer.value.code}: ${answer.value.message}`;
    default:
      return answer ? (answer as { $case: string }).$case : 'nothing';
  }
}

/** Events are told as messages of their own: undefined for them. */
export function effectOf(effect: Effect): HistoryEffect | undefined {
  if (effect.kind === 'event') return undefined;
  return { kind: effect.kind, detail: detailOf(effect) };
}

function detailOf(effect: Exclude<Effect, { kind: 'event' }>): string {
  switch (effect.kind) {
    case 'launch':
      return `${nameOf(effect.attempt)} as ${effect.attempt.name}`;
    case 'abort':
      return `${nameOf(effect.attempt)}${because(effect.reason)}`;
    case 'set-timer':
      return `${effect.timer} for ${dateOf(effect.at).toISOString()}`;
    case 'cancel-timer':
      return String(effect.timer);
    case 'request':
      return `${effect.request}: ${effect.ask.kind}`;
    case 'abort-child':
      return `${effect.child.name}${because(effect.cause)}`;
    case 'release-reservation':
      return nameOf(effect.attempt);
    case 'ended':
      return `${WorkflowExecution_Phase[effect.phase]}${because(effect.error?.message ?? '')}`;
    default:
      return '';
  }
}
