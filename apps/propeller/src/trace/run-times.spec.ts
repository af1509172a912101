import { ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as RunPhase,
} from '@aloft/idl/flyteidl/core/execution';
import { describe, expect, it } from '@jest/globals';
import { toTimestamp } from '../runs/clock.js';
import { RunTimes, type Ended } from './run-times.js';

type Partial = Parameters<typeof ExecutionEvent.fromPartial>[0];

const event = (value: Partial['event']): ExecutionEvent => ExecutionEvent.fromPartial({ sequence: 1n, event: value });
const error = { $case: 'error' as const, value: { code: 'USER:X', message: 'may hold a value' } };

const node = (nodeId: string, phase: NodePhase, more: object = {}) =>
  event({ $case: 'node', value: { id: { nodeId }, phase, ...more } });
const queued = (nodeId: string) =>
  node(nodeId, NodePhase.QUEUED, { targetMetadata: { $case: 'taskNodeMetadata', value: {} } });
const task = (nodeId: string, retryAttempt: number, phase: TaskPhase, occurredAt: number, more: object = {}) =>
  event({
    $case: 'task',
    value: {
      parentNodeExecutionId: { nodeId },
      retryAttempt,
      phase,
      occurredAt: toTimestamp(occurredAt),
      taskType: 'noop',
      ...more,
    },
  });

describe('times of what is under way in a run', () => {
  it('tells attempts, nodes and the run when they end, with when they began', () => {
    const times = new RunTimes();
    const ended: Ended[] = [];
    times.observe(queued('n0'), 100, ended);
    times.observe(task('n0', 0, TaskPhase.QUEUED, 110), 110, ended);
    times.observe(task('n0', 0, TaskPhase.INITIALIZING, 120), 130, ended);
    times.observe(task('n0', 0, TaskPhase.FAILED, 140, { outputResult: error }), 150, ended);
    times.observe(task('n0', 1, TaskPhase.QUEUED, 150), 150, ended);
    times.observe(task('n0', 1, TaskPhase.RUNNING, 170), 175, ended);
    times.observe(task('n0', 1, TaskPhase.SUCCEEDED, 190), 200, ended);
    times.observe(node('n0', NodePhase.SUCCEEDED), 200, ended);
    times.observe(event({ $case: 'workflow', value: { phase: RunPhase.SUCCEEDED } }), 210, ended);
    const common = { node: 'n0', taskType: 'noop' };
    expect(ended).toEqual([
      {
        ...common,
        kind: 'attempt',
        attempt: 0,
        queued: 110,
        taken: 120,
        done: 140,
        phase: 'FAILED',
        at: 150,
        code: 'USER:X',
      },
      { ...common, kind: 'attempt', attempt: 1, queued: 150, running: 170, done: 190, phase: 'SUCCEEDED', at: 200 },
      { kind: 'node', node: 'n0', since: 100, task: true, phase: 'SUCCEEDED', at: 200, parent: undefined },
      { kind: 'run', phase: 'SUCCEEDED', at: 210 },
    ]);
    expect(times.save()).toBeUndefined();
  });

  it('goes on after a snapshot as if nothing had been; what is left at the end of the run ends with it', () => {
    const before = new RunTimes();
    before.observe(queued('n0'), 100, []);
    before.observe(task('n0', 0, TaskPhase.QUEUED, 110), 110, []);
    const after = new RunTimes();
    after.restore(JSON.parse(JSON.stringify(before.save())) as Record<string, unknown>);
    const ended: Ended[] = [];
    after.observe(event({ $case: 'workflow', value: { phase: RunPhase.ABORTED } }), 300, ended);
    expect(ended.map(({ kind, phase, at }) => [kind, phase, at])).toEqual([
      ['attempt', 'ABORTED', 300],
      ['node', 'ABORTED', 300],
      ['run', 'ABORTED', 300],
    ]);
    expect(ended[0]).toMatchObject({ queued: 110, attempt: 0 });
  });

  it('a node taken from the cache is a step without attempts; a skipped one is nothing', () => {
    const times = new RunTimes();
    const ended: Ended[] = [];
    times.observe(queued('n0'), 100, ended);
    times.observe(node('n0', NodePhase.SUCCEEDED), 105, ended);
    times.observe(node('n1', NodePhase.SKIPPED), 105, ended);
    expect(ended.map(({ kind }) => kind)).toEqual(['node']);
    expect(ended[0]).toMatchObject({ task: true, since: 100, at: 105 });
  });
});
