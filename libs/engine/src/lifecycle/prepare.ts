import { NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import {
  AttributeError,
  BindingError,
  composeInputs,
  hasOffloaded,
  literalsOf,
  releaseSources,
} from '../data/compose.js';
import { systemError, userError } from '../data/failures.js';
import { activeTimeout } from '../data/task-settings.js';
import { fitsInline, inlined, inlineValue } from '../data/values.js';
import { nodeEvent } from '../events/node-events.js';
import { END, Kind } from '../graph/graph.js';
import { kinds } from '../nodes/kinds.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, TimerPurpose, type RunState } from '../state/run-state.js';
import { addDuration } from '../time.js';
import { enter } from './active.js';
import { fail, succeed } from './finish.js';
import { request } from './requests.js';
import { isAnew, setOutputsOf } from './revisions.js';
import { setTimer } from './timers.js';

/** A node may start: recovery first, then its inputs, then what its kind does. */
export function begin(run: RunState, work: NodeWork): void {
  const { scope, node } = work;
  work.queuedAt = run.now;
  limitNode(run, work);
  const set = setOutputsOf(scope, node);
  if (set) {
    releaseSources(scope, node);
    return succeed(run, work, set);
  }
  if (run.start?.recoverFrom && node > END && node !== scope.template.failureNode && !isAnew(scope, node)) {
    enter(run, work, NodeState.Recovering);
    request(run, work, Purpose.Recover);
    return;
  }
  resolveInputs(run, work);
}

/** Starts the clock of all its attempts together, if they have a limit (C-51). */
export function limitNode(run: RunState, work: NodeWork): void {
  const limit = activeTimeout(run, work.scope, work.node);
  if (limit && work.activeTimer === 0)
    work.activeTimer = setTimer(run, TimerPurpose.Active, work, addDuration(run.now, limit));
}

/** Composes the node's inputs; writes them first if they are too large for a message or partly stored (C-102). */
export function resolveInputs(run: RunState, work: NodeWork): void {
  enter(run, work, NodeState.Resolving);
  try {
    const literals = literalsOf(composeInputs(work.scope, work.node));
    // C-105: an array must know the length of its lists, and asks where its inputs are stored.
    const looksInto = work.scope.template.kinds[work.node] === Kind.Array && work.scope.readsOffloaded;
    if (!literals || !fitsInline(literals) || (looksInto && hasOffloaded(literals))) {
      request(run, work, work.node === END ? Purpose.StoreOutputs : Purpose.StoreInputs);
      return;
    }
    work.inputs = inlineValue(literals);
  } catch (error) {
    if (!(error instanceof BindingError)) throw error;
    // C-103, C-104
    const isUsers = error instanceof AttributeError && behaves(run, Behaviour.PathsAreUsers);
    releaseSources(work.scope, work.node);
    fail(
      run,
      work,
      isUsers
        ? userError(run, 'PromiseAttributeResolveError', error.message)
        : systemError(run, 'BindingResolutionFailure', error.message),
    );
    return;
  }
  inputsReady(run, work);
}

/** The inputs are at hand or stored; kinds that must look into stored ones have them read. */
export function inputsReady(run: RunState, work: NodeWork): void {
  const { scope, node } = work;
  const kind = scope.template.kinds[node];
  releaseSources(scope, node);
  if ((kind === Kind.Branch || kind === Kind.Array) && !inlined(work.inputs)) {
    request(run, work, Purpose.LoadInputs);
    return;
  }
  start(run, work);
}

export function start(run: RunState, work: NodeWork): void {
  const { scope, node } = work;
  if (node > END) nodeEvent(run, scope, node, work, NodeExecution_Phase.QUEUED, { inputs: work.inputs });
  kinds[scope.template.kinds[node] as Kind].start(run, work);
}
