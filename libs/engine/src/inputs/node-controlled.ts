import type { ControlNode, LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { releaseSources } from '../data/compose.js';
import { userError } from '../data/failures.js';
import { inlineValue } from '../data/values.js';
import { nodeRevised } from '../events/revision-events.js';
import { END } from '../graph/graph.js';
import { stopAttempt } from '../lifecycle/abort.js';
import { open } from '../lifecycle/active.js';
import { cancelNode } from '../lifecycle/cancel.js';
import { endEarly, succeed } from '../lifecycle/finish.js';
import { locate, type Place } from '../lifecycle/locate.js';
import { retryNow } from '../lifecycle/replace-attempt.js';
import { reset } from '../lifecycle/reset.js';
import { keepEdit } from '../lifecycle/revisions.js';
import { leaveSignal } from '../nodes/gate.js';
import { refusalOf } from '../nodes/control-checks.js';
import { isOver, NodeState } from '../state/node-state.js';
import type { RunState } from '../state/run-state.js';

/**
 * A person changes one node. Whether that can be is decided here, in the order of the log; what can't is told as a revision
 * that was refused, and changes nothing else. A run that is over takes none: its last event stays its last.
 */
export function nodeControlled(run: RunState, command: ControlNode): boolean {
  if (run.isOver || run.controls.has(command.commandId)) return false;
  run.controls.add(command.commandId);
  const place = locate(run, command.nodeId);
  const refused = place
    ? refusalOf(place, command)
    : `there is no node ${command.nodeId} that could take it: either the run has none, or the node that it ran under is over ` +
      'too, and takes it in its stead';
  const specPath = place && place.node > END ? place.scope.specPath(place.node) : '';
  nodeRevised(run, command, specPath, { refused });
  if (place && refused === undefined) perform(run, place, command);
  return true;
}

function perform(run: RunState, place: Place, command: ControlNode): void {
  const { scope, node } = place;
  const work = scope.active.get(node);
  if (work) leaveSignal(run, work);
  const by = command.principal === '' ? '' : ` by ${command.principal}`;
  const why = command.cause === '' ? '' : `: ${command.cause}`;
  switch (command.control?.$case) {
    case 'cancel': {
      const error = userError(run, 'NodeCancelled', `the node was cancelled${by}${why}`);
      if (!work) endEarly(scope, node);
      return cancelNode(run, work ?? open(run, scope, node), error, command.control.value.skipDownstream);
    }
    case 'retry': {
      const reason = `another attempt was asked for${by}${why}`;
      return work ? retryNow(run, work, reason) : reset(run, scope, node, reason);
    }
    case 'setOutputs': {
      const outputs = inlineValue(command.control.value.outputs?.literals ?? {});
      return setOutputs(run, place, outputs, `its outputs were set${by}${why}`);
    }
    case 'rerun':
      keepEdit(scope, node, command);
      if (scope.states[node] !== NodeState.Waiting) reset(run, scope, node, `it is run again${by}${why}`);
  }
}

function setOutputs(run: RunState, { scope, node }: Place, outputs: LiteralsValue, reason: string): void {
  const active = scope.active.get(node);
  if (isOver(scope.states[node]!)) reset(run, scope, node, reason, false);
  // What it will not read any more needn't be kept for it.
  else if (!active?.queuedAt) releaseSources(scope, node);
  if (active) stopAttempt(run, active, reason);
  else endEarly(scope, node);
  succeed(run, active ?? open(run, scope, node), outputs);
}
