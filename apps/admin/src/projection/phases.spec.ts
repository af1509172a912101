import { ExecutionEvent, TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { ExecutionClosure } from '@aloft/idl/flyteidl/admin/execution';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import {
  ExecutionError_ErrorKind,
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { NodeExecutionEvent, TaskExecutionEvent, WorkflowExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import { foldExecutionEvent, type ExecutionState } from './fold-execution.js';
import { foldAttemptOfNode, foldNodeEvent, newNodeState } from './fold-node.js';
import { foldTaskEvent, newTaskState } from './fold-task.js';
import { judgeExecution, judgeNode, judgeTask } from './phases.js';

const at = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 5 });

test.each([
  [Phase.RUNNING, Phase.RUNNING, 'duplicate'],
  [Phase.QUEUED, Phase.QUEUED, 'apply'],
  [Phase.SUCCEEDED, Phase.RUNNING, 'terminal'],
  [Phase.SUCCEEDED, Phase.SUCCEEDED, 'duplicate'],
  [Phase.RUNNING, Phase.QUEUED, 'backwards'],
  [Phase.ABORTING, Phase.RUNNING, 'backwards'],
  [Phase.ABORTING, Phase.SUCCEEDED, 'apply'],
  [Phase.UNDEFINED, Phase.QUEUED, 'apply'],
])('A-60, K-23: from phase %i to %i: %s', (current, next, verdict) => {
  expect(judgeExecution(current, next)).toBe(verdict);
});

test('A-61, K-24: node phases', () => {
  expect(judgeNode(undefined, NodePhase.QUEUED)).toBe('apply');
  expect(judgeNode(NodePhase.RUNNING, NodePhase.RUNNING)).toBe('duplicate');
  expect(judgeNode(NodePhase.SKIPPED, NodePhase.RUNNING)).toBe('terminal');
});

test('A-62, K-25: task phases and versions', () => {
  const running = { phase: TaskPhase.RUNNING, phaseVersion: 1 };
  expect(judgeTask(running, { phase: TaskPhase.RUNNING, phaseVersion: 1 })).toBe('duplicate');
  expect(judgeTask(running, { phase: TaskPhase.RUNNING, phaseVersion: 2 })).toBe('apply');
  expect(judgeTask({ phase: TaskPhase.ABORTED, phaseVersion: 0 }, running)).toBe('terminal');
});

describe('execution', () => {
  const state = (closure: Partial<ExecutionClosure> = {}): ExecutionState => ({
    closure: ExecutionClosure.fromPartial({ createdAt: at(1), ...closure }),
    outputs: null,
    outputsUri: null,
    quarantineReason: null,
  });

  test('A-60: the duration counts from the first RUNNING; outputs never go into the closure', () => {
    const run = state();
    foldExecutionEvent(run, WorkflowExecutionEvent.fromPartial({ phase: Phase.RUNNING, occurredAt: at(10) }));
    const outputs = LiteralMap.fromPartial({ literals: { o: { hash: 'h' } } });
    foldExecutionEvent(
      run,
      WorkflowExecutionEvent.fromPartial({
        phase: Phase.SUCCEEDED,
        occurredAt: { seconds: 12n, nanos: 6 },
        outputResult: { $case: 'outputData', value: outputs },
      }),
    );
    expect(run.closure).toMatchObject({ phase: Phase.SUCCEEDED, duration: { seconds: 2n, nanos: 1 } });
    expect(run.closure.outputResult).toBeUndefined();
    expect(LiteralMap.decode(run.outputs as Buffer)).toEqual(outputs);
  });

  test('aborted before its beginning was told, it stays ABORTING and has begun all the same', () => {
    const run = state({ phase: Phase.ABORTING });
    const began = WorkflowExecutionEvent.fromPartial({ phase: Phase.RUNNING, occurredAt: at(10) });
    expect(foldExecutionEvent(run, began)).toBe('backwards');
    expect(run.closure).toMatchObject({ phase: Phase.ABORTING, startedAt: at(10) });
    foldExecutionEvent(run, WorkflowExecutionEvent.fromPartial({ phase: Phase.ABORTED, occurredAt: at(12) }));
    expect(run.closure).toMatchObject({ phase: Phase.ABORTED, duration: { seconds: 2n, nanos: 0 } });
  });

  test("K-20: cause and principal outlive the engine's own words on the abort", () => {
    const abort = { $case: 'abortMetadata' as const, value: { cause: 'enough', principal: 'me' } };
    const run = state({ phase: Phase.ABORTING, outputResult: abort });
    const error = { code: 'x', message: 'aborted', kind: ExecutionError_ErrorKind.USER };
    foldExecutionEvent(
      run,
      WorkflowExecutionEvent.fromPartial({ phase: Phase.ABORTED, outputResult: { $case: 'error', value: error } }),
    );
    expect(run.closure.outputResult).toMatchObject(abort);
  });
});

test('A-61: a node from queued to its end, with what a late duplicate adds', () => {
  const node = newNodeState('n0');
  const event = (partial: object) => NodeExecutionEvent.fromPartial({ specNodeId: 'n0', ...partial });
  foldNodeEvent(
    node,
    event({ phase: NodePhase.QUEUED, occurredAt: at(1), inputValue: { $case: 'inputUri', value: 's3://b/i' } }),
  );
  foldNodeEvent(
    node,
    event({ phase: NodePhase.RUNNING, occurredAt: at(2), isParent: true, parentNodeMetadata: { nodeId: 'p' } }),
  );
  foldNodeEvent(
    node,
    event({
      phase: NodePhase.SUCCEEDED,
      occurredAt: at(5),
      outputResult: { $case: 'outputUri', value: 's3://b/o' },
      targetMetadata: { $case: 'taskNodeMetadata', value: { cacheStatus: CatalogCacheStatus.CACHE_HIT } },
    }),
  );
  expect(foldNodeEvent(node, event({ phase: NodePhase.SUCCEEDED, occurredAt: at(6), deckUri: 's3://b/d' }))).toBe(
    'duplicate',
  );
  expect(foldNodeEvent(node, event({ phase: NodePhase.RUNNING, occurredAt: at(7), deckUri: 's3://b/e' }))).toBe(
    'terminal',
  );
  expect(node).toMatchObject({
    inputUri: 's3://b/i',
    parentNodeId: 'p',
    metadata: { isParentNode: true, specNodeId: 'n0' },
    closure: {
      phase: NodePhase.SUCCEEDED,
      createdAt: at(1),
      updatedAt: at(5),
      duration: { seconds: 3n, nanos: 0 },
      deckUri: 's3://b/d',
      outputResult: { $case: 'outputUri', value: 's3://b/o' },
      targetMetadata: { value: { cacheStatus: CatalogCacheStatus.CACHE_HIT } },
    },
  });
});

test('A-62, K-25: logs, reasons, custom info and external resources are merged', () => {
  const task = newTaskState('n0', 0, Identifier.fromPartial({ name: 't' }));
  const event = (partial: object) =>
    TaskExecutionEvent.fromPartial({ phase: TaskPhase.RUNNING, occurredAt: at(1), ...partial });
  const log = (name: string) => ({ name, uri: `http://${name}` });
  const item = (index: number, phase: TaskPhase, retryAttempt = 0) => ({ index, phase, retryAttempt });
  foldTaskEvent(
    task,
    event({
      logs: [log('a')],
      reason: 'starts',
      customInfo: { x: 1, y: 1 },
      metadata: { generatedName: 'g', externalResources: [item(1, TaskPhase.RUNNING), item(0, TaskPhase.QUEUED)] },
    }),
  );
  expect(foldTaskEvent(task, event({ logs: [log('c')] }))).toBe('duplicate');
  foldTaskEvent(
    task,
    event({
      phaseVersion: 1,
      logs: [log('a'), log('b')],
      reasons: [{ reason: 'starts' }, { reason: 'goes on' }],
      customInfo: { y: 2 },
      metadata: { externalResources: [item(1, TaskPhase.SUCCEEDED), item(0, TaskPhase.RUNNING, 1)] },
    }),
  );
  foldTaskEvent(task, event({ phase: TaskPhase.RETRYABLE_FAILED, occurredAt: at(4) }), {
    cpuSeconds: 2,
  } as never);
  const { closure } = task;
  expect(closure.phase).toBe(TaskPhase.FAILED);
  expect(closure.logs.map(({ name }) => name)).toEqual(['a', 'b']);
  expect(closure.reasons.map(({ message }) => message)).toEqual(['starts', 'goes on']);
  expect(closure.reason).toBe('goes on');
  expect(closure.customInfo).toEqual({ x: 1, y: 2 });
  expect(closure.metadata?.generatedName).toBe('g');
  expect(
    closure.metadata?.externalResources.map(({ index, retryAttempt, phase }) => [index, retryAttempt, phase]),
  ).toEqual([
    [0, 0, TaskPhase.FAILED],
    [0, 1, TaskPhase.RUNNING],
    [1, 0, TaskPhase.SUCCEEDED],
  ]);
  expect(closure.duration).toEqual({ seconds: 3n, nanos: 0 });
  expect(task.usage).toMatchObject({ cpuSeconds: 2 });
});

test('A-61, A-62: an attempt that was told of once, as ended, and its node, began when its use says', () => {
  const task = newTaskState('n', 0, Identifier.fromPartial({ name: 't' }));
  const node = newNodeState('n');
  foldNodeEvent(node, NodeExecutionEvent.fromPartial({ phase: NodePhase.QUEUED, occurredAt: at(1) }));
  const ended = TaskExecutionEvent.fromPartial({ phase: TaskPhase.SUCCEEDED, occurredAt: at(9) });
  const usage = TaskUsage.fromPartial({ startedAt: at(4), endedAt: at(9) });
  const verdict = foldTaskEvent(task, ended, usage);
  foldAttemptOfNode(node, ExecutionEvent.fromPartial({ event: { $case: 'task', value: ended }, usage }), verdict);
  foldNodeEvent(node, NodeExecutionEvent.fromPartial({ phase: NodePhase.SUCCEEDED, occurredAt: at(10) }));
  expect(task.closure).toMatchObject({ startedAt: at(4), duration: { seconds: 5n } });
  expect(node.closure).toMatchObject({ startedAt: at(4), duration: { seconds: 6n } });
});
