import type { RequestAnswered } from '@aloft/idl/aloft/v1/engine';
import { CacheLookedUp_Result, type RecoveredNode } from '@aloft/idl/aloft/v1/engine';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import { ExecutionError_ErrorKind, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import { childCause } from '../lifecycle/orphans.js';
import { releaseSources } from '../data/compose.js';
import { fail, succeed } from '../lifecycle/finish.js';
import { inputsReady, resolveInputs, start } from '../lifecycle/prepare.js';
import { loseArray } from '../lifecycle/lost-arrays.js';
import { outputsRecalled } from '../lifecycle/recall.js';
import { attemptFailed } from '../lifecycle/retry.js';
import { isChangedInside } from '../lifecycle/revisions.js';
import { itemAnswered } from '../nodes/array-answers.js';
import { arrayFinished } from '../nodes/array-end.js';
import { cacheLookedUp } from '../nodes/cache.js';
import { childStarted } from '../nodes/child-execution.js';
import { graphResolved, keepRecoveredGraph } from '../nodes/dynamic.js';
import { cacheStored } from '../nodes/task-finish.js';
import { Purpose, type PendingRequest, type RunState } from '../state/run-state.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';

type Answer = NonNullable<RequestAnswered['answer']>;

/** The answer to a request; unknown and settled requests' answers change nothing. */
export function answered(run: RunState, { request, answer }: RequestAnswered): boolean {
  const pending = run.requests.get(Number(request));
  if (!pending || !answer) return false;
  if (!fits(pending, answer)) {
    throw new Error(`engine: request ${request} (purpose ${pending.purpose}) was answered with ${answer.$case}`);
  }
  run.requests.delete(pending.id);
  if (pending.purpose === Purpose.Recall) {
    outputsRecalled(run, pending, answer.$case === 'recalled' ? answer.value.outputs : undefined);
    return true;
  }
  if (pending.purpose === Purpose.StopChild) {
    const child = answer.$case === 'child' ? answer.value.child : undefined;
    if (child) run.effects.push({ kind: 'abort-child', child, cause: childCause(run, 'its node is over') });
    return true;
  }
  const work = pending.work as NodeWork;
  if (pending.item >= 0) {
    itemAnswered(run, work, pending, answer);
    return true;
  }
  work.request = 0;
  if (answer.$case === 'error') refused(run, work, pending, answer.value);
  else granted(run, work, answer);
  return true;
}

const answersTo: Partial<Record<Purpose, Answer['$case']>> = {
  [Purpose.Recover]: 'recovered',
  [Purpose.StoreInputs]: 'stored',
  [Purpose.LoadInputs]: 'loaded',
  [Purpose.LookUpCache]: 'cache',
  [Purpose.StoreInCache]: 'cacheStored',
  [Purpose.ResolveGraph]: 'graph',
  [Purpose.StartChild]: 'child',
  [Purpose.StoreOutputs]: 'stored',
  [Purpose.LookUpItem]: 'cache',
  [Purpose.StoreItem]: 'cacheStored',
  [Purpose.StartItemChild]: 'child',
  [Purpose.StoreItemInputs]: 'stored',
  [Purpose.StopChild]: 'child',
  [Purpose.Recall]: 'recalled',
};

function fits(pending: PendingRequest, answer: Answer): boolean {
  return answer.$case === 'error' || answersTo[pending.purpose] === answer.$case;
}

function granted(run: RunState, work: NodeWork, answer: Exclude<Answer, { $case: 'error' }>): void {
  switch (answer.$case) {
    case 'recovered':
      return recovered(run, work, answer.value);
    case 'cache':
      return cacheLookedUp(run, work, answer.value);
    case 'cacheStored':
      return cacheStored(run, work, answer.value);
    case 'graph':
      return graphResolved(run, work, answer.value);
    case 'child':
      return childStarted(run, work, answer.value);
    case 'loaded':
      work.loaded = answer.value.literals?.literals;
      work.lengths = answer.value.lengths;
      return start(run, work);
    case 'stored': {
      const value = answer.value.stored;
      if (!value) throw new Error('engine: stored literals without their place');
      if (work.items) return arrayFinished(run, work, work.items, { value: { $case: 'stored', value } });
      work.inputs = { value: { $case: 'stored', value } };
      return inputsReady(run, work);
    }
  }
}

/** C-80: what succeeded in the recovered run is taken over; of the rest, what is of use is kept for the new try. */
function recovered(run: RunState, work: NodeWork, answer: RecoveredNode): void {
  if (answer.found && !isChangedInside(work.scope, work.node)) {
    work.inputs = answer.inputs;
    work.cacheMetadata = answer.cacheMetadata;
    if (answer.cacheMetadata && behaves(run, Behaviour.TellsMore)) {
      const isHit = answer.cacheMetadata.sourceExecution !== undefined;
      work.cacheStatus = isHit ? CatalogCacheStatus.CACHE_HIT : CatalogCacheStatus.CACHE_POPULATED;
    }
    work.deckUri = answer.deckUri;
    releaseSources(work.scope, work.node);
    return succeed(run, work, answer.outputs, undefined, NodeState.Recovered);
  }
  work.recovered = answer;
  if (answer.graph) keepRecoveredGraph(run, answer.graph);
  // C-81
  work.checkpointUri = answer.checkpointUri;
  resolveInputs(run, work);
}

/** A request that can't be fulfilled: the node fails with it, but where failing to ask is no reason to. */
function refused(run: RunState, work: NodeWork, pending: PendingRequest, error: ExecutionError): void {
  switch (pending.purpose) {
    case Purpose.Recover:
      return resolveInputs(run, work);
    case Purpose.LookUpCache:
      return cacheLookedUp(run, work, {
        result: CacheLookedUp_Result.FAILED,
        outputs: undefined,
        metadata: undefined,
        holder: '',
        retryAt: undefined,
      });
    case Purpose.StoreInCache:
      return cacheStored(run, work, { failed: true, metadata: undefined, reason: error.message });
    case Purpose.StartChild:
    case Purpose.ResolveGraph:
      // C-13, C-152: the system's failures are tried again, the user's aren't.
      return attemptFailed(run, work, error, error.kind === ExecutionError_ErrorKind.SYSTEM);
    case Purpose.StoreInputs:
      releaseSources(work.scope, work.node);
      return fail(run, work, error);
    default:
      if (work.items) loseArray(run, work, work.items);
      return fail(run, work, error);
  }
}
