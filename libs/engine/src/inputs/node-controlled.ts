import type { ControlNode, LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { Behaviour, behaves } from '../behaviours.js';
import { releaseSources } from '../data/compose.js';
import { userError } from '../data/failures.js';
import { inlineValue } from '../data/values.js';
import { nodeRevised } from '../events/revision-events.js';
import { END } from '../graph/graph.js';
import { abortNode, awaitsBackends, stopAttempt } from '../lifecycle/abort.js';
import { open } from '../lifecycle/active.js';
import { cancelNode } from '../lifecycle/cancel.js';
import { endEarly, succeed } from '../lifecycle/finish.js';
import { locate, type Place } from '../lifecycle/locate.js';
import { retryNow } from '../lifecycle/replace-attempt.js';
import { reachOf, reset } from '../lifecycle/reset.js';
import { keepEdit } from '../lifecycle/revisions.js';
import { leaveSignal } from '../nodes/gate.js';
import { refusalOf } from '../nodes/control-checks.js';
import { Because } from '../state/ending.js';
import { isOver, NodeState } from '../state/node-state.js';
import type { RunState } from '../state/run-state.js';
import { Step } from '../state/work-queue.js';

/**
 * A person changes one node. Whether that can be is decided here, in the order of the log; what can't is told as a revision
 * that was refused, and changes nothing else. A run that is over takes none: its last event stays its last.
 */
export function nodeControlled(run: RunState, command: ControlNode): boolean {
  if (run.isOver || run.controls.has(command.commandId)) return false;
  run.controls.add(command.commandId);
  const place = locate(run, command.nodeId);
  const refused = place
    ? refusalOf(run, place, command)
    : `there is no node ${command.nodeId} that could take it: either the run has none, or the node that it ran under is over ` +
      'too, and takes it in its stead';
  const specPath = place && place.node > END ? place.scope.specPath(place.node) : '';
  nodeRevised(run, command, specPath, { refused });
  if (place && refused === undefined) perform(run, place, command);
  return true;
}

/** Does what the command says; where attempts have to end first, that begins, and it is done when they have. */
export function perform(run: RunState, place: Place, command: ControlNode): void {
  const { scope, node } = place;
  const work = scope.active.get(node);
  if (work) leaveSignal(run, work);
  const because = Because.Control;
  const by = command.principal === '' ? '' : ` by ${command.principal}`;
  const why = command.cause === '' ? '' : `: ${command.cause}`;
  switch (command.control?.$case) {
    case 'cancel': {
      const error = userError(run, 'NodeCancelled', `the node was cancelled${by}${why}`);
      if (work && awaitsBackends(run, work, { because, reason: error.message, command })) return;
      if (!work || work.state === NodeState.Ahead) endEarly(scope, node);
      return cancelNode(run, work ?? open(run, scope, node), error, command.control.value.skipDownstream);
    }
    case 'retry': {
      const reason = `another attempt was asked for${by}${why}`;
      if (work)
        return awaitsBackends(run, work, { because, reason, command }) ? undefined : retryNow(run, work, reason);
      return awaitsReach(run, place, command, reason) ? undefined : reset(run, scope, node, reason);
    }
    case 'setOutputs': {
      const outputs = inlineValue(command.control.value.outputs?.literals ?? {});
      const reason = `its outputs were set${by}${why}`;
      if (work && awaitsBackends(run, work, { because, reason, command })) return;
      if (!work && isOver(scope.states[node]!) && awaitsReach(run, place, command, reason)) return;
      return setOutputs(run, place, outputs, reason);
    }
    case 'rerun': {
      const reason = `it is run again${by}${why}`;
      const isBegun = scope.states[node] !== NodeState.Waiting;
      if (isBegun && awaitsReach(run, place, command, reason)) return;
      keepEdit(scope, node, command);
      if (isBegun) reset(run, scope, node, reason);
    }
  }
}

/** What begins anew has to be over: whether something of it still runs, which is told to end. Then `performHeld` comes back. */
function awaitsReach(run: RunState, { scope, node }: Place, command: ControlNode, reason: string): boolean {
  if (!behaves(run, Behaviour.AbortsHearBackends)) return false;
  const reach = reachOf(scope, node);
  for (const each of reach) {
    const active = scope.active.get(each);
    if (active) abortNode(run, active, reason);
  }
  if (!reach.some((each) => scope.active.has(each))) return false;
  run.held.push({ scope, node, command });
  return true;
}

/**
 * Does the controls whose nodes are over now; false if there are none. What can't be done any more, since the workflow failed or
 * ended meanwhile, is told as refused after all.
 */
export function performHeld(run: RunState): boolean {
  const held = run.held.splice(0);
  let done = false;
  for (const control of held) {
    const { scope, node, command } = control;
    if (run.isOver) return done;
    const isOpen = run.scopes.get(scope.id) === scope;
    if (isOpen && reachOf(scope, node).some((each) => scope.active.get(each)?.ending)) {
      run.held.push(control);
      continue;
    }
    done = true;
    // Another control that it waited for together has put its node back already: it will begin anew.
    if (isOpen && command.control?.$case === 'retry' && scope.states[node] === NodeState.Waiting) continue;
    const refused = isOpen ? refusalOf(run, control, command) : 'the node that it ran under came to its end first';
    if (refused === undefined) {
      perform(run, control, command);
      continue;
    }
    nodeRevised(run, command, scope.specPath(node), { refused });
    run.work.push(Step.Settle, scope, -1);
  }
  return done;
}

function setOutputs(run: RunState, { scope, node }: Place, outputs: LiteralsValue, reason: string): void {
  const active = scope.active.get(node);
  if (isOver(scope.states[node]!)) reset(run, scope, node, reason, false);
  // What it will not read any more needn't be kept for it.
  else if (!active?.queuedAt) releaseSources(scope, node);
  if (active?.state === NodeState.Ahead) endEarly(scope, node);
  if (active) stopAttempt(run, active, reason);
  else endEarly(scope, node);
  succeed(run, active ?? open(run, scope, node), outputs);
}
