import type { EngineInput } from '@aloft/idl/aloft/v1/engine';
import { signalSet } from '../nodes/gate.js';
import type { RunState } from '../state/run-state.js';
import { ScopeStatus } from '../state/scope.js';
import { abortRequested } from './abort-requested.js';
import { answered } from './answered.js';
import { childEnded } from './child-ended.js';
import { nodeControlled } from './node-controlled.js';
import { started } from './started.js';
import { taskReported } from './task-reported.js';
import { timerFired } from './timer-fired.js';

/** Applies one input to the state; false if it changed nothing. What it made possible is left to `drain`. */
export function applyInput(run: RunState, input: NonNullable<EngineInput['input']>, behaviours: bigint): boolean {
  if (!run.start && input.$case !== 'started') return false;
  switch (input.$case) {
    case 'started':
      return started(run, input.value, behaviours);
    case 'taskReported':
      return taskReported(run, input.value);
    case 'answered':
      return answered(run, input.value);
    case 'timerFired':
      return timerFired(run, Number(input.value.timer));
    case 'signalSet':
      return !run.isOver && run.root.status !== ScopeStatus.Ending && signalSet(run, input.value);
    case 'childEnded':
      return childEnded(run, input.value);
    case 'nodeControlled':
      return run.root.status !== ScopeStatus.Ending && nodeControlled(run, input.value);
    case 'abortRequested':
      return abortRequested(run, input.value);
  }
}
