import type { SetSignal } from '@aloft/idl/aloft/v1/bus';
import { NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { LiteralType, SimpleType } from '@aloft/idl/flyteidl/core/types';
import type { Duration } from '@aloft/idl/google/protobuf/duration';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { userError } from '../data/failures.js';
import { emptyValue, inlineValue } from '../data/values.js';
import { emit } from '../events/emit.js';
import { nodeEvent } from '../events/node-events.js';
import { conditionOf, gateWait } from '../explain/waits.js';
import { enter } from '../lifecycle/active.js';
import { fail, succeed } from '../lifecycle/finish.js';
import { limitAttempt } from '../lifecycle/retry.js';
import { setTimer } from '../lifecycle/timers.js';
import { told } from '../lifecycle/waits.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { TimerPurpose, type RunState } from '../state/run-state.js';
import { addDuration, isPositive } from '../time.js';
import type { NodeKind } from './kind.js';

const boolean = LiteralType.create({ type: { $case: 'simple', value: SimpleType.BOOLEAN } });

export const gateNode: NodeKind = {
  start(run, work) {
    const condition = conditionOf(work);
    enter(run, work, NodeState.Gated);
    const until = condition?.$case === 'sleep' ? wakesAt(run, condition.value.duration) : undefined;
    if (!work.announced) {
      const waiting = told(run, gateWait(work, run.now, until));
      nodeEvent(run, work.scope, work.node, work, NodeExecution_Phase.RUNNING, { waiting });
    }
    work.announced = true;
    limitAttempt(run, work);
    if (condition?.$case === 'sleep') return sleep(run, work, until);
    if (!condition) return fail(run, work, userError(run, 'BadSpecification', 'the gate has no condition'));
    const { signalId } = condition.value;
    const type = condition.$case === 'signal' ? condition.value.type : boolean;
    emit(run, { $case: 'gateReached', value: { signalId, type, nodeId: work.id } });
    const signal = signalOf(run, signalId);
    signal.waiting.push(work);
    if (signal.value) open(run, signalId);
  },
};

/** C-132 */
function sleep(run: RunState, work: NodeWork, until: Timestamp | undefined): void {
  if (!until) return succeed(run, work, emptyValue);
  work.waitTimer = setTimer(run, TimerPurpose.Wait, work, until);
}

function wakesAt(run: RunState, duration: Duration | undefined): Timestamp | undefined {
  return isPositive(duration) ? addDuration(run.now, duration) : undefined;
}

export function slept(run: RunState, work: NodeWork): void {
  succeed(run, work, emptyValue);
}

/**
 * A signal's value: kept even if its gate isn't reached yet. Until a gate took it a later one replaces it, afterwards nothing
 * does: the first consumed wins.
 */
export function signalSet(run: RunState, signal: SetSignal): boolean {
  const before = run.signals.get(signal.signalId);
  if (!signal.value || before?.consumed || (before?.value && signal.revision <= before.revision)) return false;
  const known = signalOf(run, signal.signalId);
  known.value = signal.value;
  known.revision = signal.revision;
  open(run, signal.signalId);
  return true;
}

function signalOf(run: RunState, signalId: string) {
  let signal = run.signals.get(signalId);
  if (!signal) run.signals.set(signalId, (signal = { revision: 0n, value: undefined, consumed: false, waiting: [] }));
  return signal;
}

/** The gate no longer waits. */
export function leaveSignal(run: RunState, work: NodeWork): void {
  const condition = work.state === NodeState.Gated ? conditionOf(work) : undefined;
  if (!condition || condition.$case === 'sleep') return;
  const waiting = run.signals.get(condition.value.signalId)?.waiting;
  const at = waiting?.indexOf(work) ?? -1;
  if (at >= 0) waiting!.splice(at, 1);
}

/** Lets through every gate that waits for the signal. */
function open(run: RunState, signalId: string): void {
  const signal = signalOf(run, signalId);
  const value = signal.value as Literal;
  const waiting = signal.waiting.splice(0);
  for (const work of waiting) {
    if (work.state !== NodeState.Gated || work.scope.active.get(work.node) !== work) continue;
    signal.consumed = true;
    const condition = conditionOf(work);
    if (condition?.$case === 'signal') succeed(run, work, inlineValue({ [condition.value.outputVariableName]: value }));
    else decide(run, work, value);
  }
}

/** C-130: approval passes the gate's inputs on. */
function decide(run: RunState, work: NodeWork, value: Literal): void {
  const primitive =
    value.value?.$case === 'scalar' && value.value.value.value?.$case === 'primitive'
      ? value.value.value.value.value.value
      : undefined;
  if (primitive?.$case !== 'boolean') {
    return fail(
      run,
      work,
      userError(run, 'InvalidSignal', 'the approval must be a boolean: true approves, false rejects'),
    );
  }
  if (primitive.value) return succeed(run, work, work.inputs);
  fail(run, work, userError(run, 'ReceivedRejectSignal', `gate node ${work.id} was rejected`));
}
