import { ExecutionEvent, WaitReason_Kind as Kind } from '@aloft/idl/aloft/v1/bus';
import { NodeExecution_Phase as NodePhase } from '@aloft/idl/flyteidl/core/execution';
import { foldNodeEvent, newNodeState, type NodeState } from './fold-node.js';
import { foldWait, nodeToldOf } from './fold-wait.js';

type Partial = Parameters<typeof ExecutionEvent.fromPartial>[0];
const waiting = (kind: Kind) => ({ nodeId: 'n0', kind, detail: Kind[kind] });
const nodeEvent = (phase: NodePhase, more: Partial = {}) =>
  ExecutionEvent.fromPartial({
    event: { $case: 'node', value: { id: { nodeId: 'n0' }, phase, occurredAt: { seconds: 1n } } },
    ...more,
  });
const taskEvent = (more: Partial = {}) =>
  ExecutionEvent.fromPartial({
    event: { $case: 'task', value: { parentNodeExecutionId: { nodeId: 'n0' } } },
    ...more,
  });

function fold(...events: ExecutionEvent[]): NodeState {
  const state = newNodeState('n0');
  for (const event of events) {
    if (nodeToldOf(event) === undefined) continue;
    const verdict = event.event?.$case === 'node' ? foldNodeEvent(state, event.event.value) : 'apply';
    foldWait(state, event, verdict);
  }
  return state;
}

describe('U-12: why a node waits, as events tell it', () => {
  test('a node event says it, and says that it is over, also in the phase that it had', () => {
    const parked = nodeEvent(NodePhase.QUEUED, { waiting: waiting(Kind.PARALLELISM) });
    expect(fold(parked).wait).toMatchObject({ kind: Kind.PARALLELISM });
    expect(fold(parked, nodeEvent(NodePhase.QUEUED)).wait).toBeUndefined();
    expect(fold(parked, nodeEvent(NodePhase.RUNNING)).wait).toBeUndefined();
  });

  test('a task event says it only if it has something to say', () => {
    const short = taskEvent({ waiting: waiting(Kind.CAPACITY) });
    const queued = nodeEvent(NodePhase.QUEUED);
    expect(fold(queued, short, taskEvent()).wait).toMatchObject({ kind: Kind.CAPACITY });
    expect(fold(queued, short, taskEvent({ waiting: waiting(Kind.NONE) })).wait).toBeUndefined();
    expect(nodeToldOf(taskEvent())).toBeUndefined();
  });

  test('a reservation says it by an event of its own', () => {
    const held = ExecutionEvent.fromPartial({ event: { $case: 'wait', value: waiting(Kind.RESERVATION) } });
    expect(fold(nodeEvent(NodePhase.QUEUED), held).wait).toMatchObject({ kind: Kind.RESERVATION });
  });

  test('nothing waits after its end', () => {
    const late = taskEvent({ waiting: waiting(Kind.CAPACITY) });
    expect(fold(nodeEvent(NodePhase.FAILED), late).wait).toBeUndefined();
    const refused = nodeEvent(NodePhase.RUNNING, { waiting: waiting(Kind.GATE) });
    expect(fold(nodeEvent(NodePhase.ABORTED), refused).wait).toBeUndefined();
  });
});
