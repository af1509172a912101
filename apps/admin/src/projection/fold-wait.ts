import { WaitReason_Kind as Kind, type ExecutionEvent, type WaitReason } from '@aloft/idl/aloft/v1/bus';
import { isTerminalNode, type Verdict } from './phases.js';
import type { NodeState } from './fold-node.js';

/** The node whose row an event changes: its phase, its waiting (U-12) or when it began; undefined if it changes none's. */
export function nodeToldOf({ event, waiting, usage }: ExecutionEvent): string | undefined {
  if (event?.$case === 'node') return event.value.id?.nodeId ?? '';
  if (event?.$case === 'wait') return event.value.nodeId;
  if (event?.$case !== 'task' || !(waiting ?? usage?.startedAt)) return undefined;
  return event.value.parentNodeExecutionId?.nodeId ?? '';
}

/** What an event says of why its node waits (U-12). `verdict`: of a node event, which says nothing if it was refused. */
export function foldWait(state: NodeState, { event, waiting }: ExecutionEvent, verdict: Verdict = 'apply'): void {
  if (verdict === 'terminal' || verdict === 'backwards') return;
  const wait = event?.$case === 'wait' ? event.value : waiting;
  state.wait = isTerminalNode(state.closure.phase) ? undefined : set(wait);
}

function set(wait: WaitReason | undefined): WaitReason | undefined {
  return wait && wait.kind !== Kind.NONE ? wait : undefined;
}
