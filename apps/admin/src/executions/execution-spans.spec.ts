import fc from 'fast-check';
import type { Span } from '@aloft/idl/flyteidl/core/metrics';
import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { nanosOf } from '../time.js';
import { spansOfRun, type RunTree, type SpanNode } from './execution-spans.js';

const at = (ms: number): Timestamp => ({
  seconds: BigInt(Math.floor(ms / 1000)),
  nanos: Math.round(ms - Math.floor(ms / 1000) * 1000) * 1_000_000,
});
const id = { org: '', project: 'p', domain: 'd', name: 'run' };

interface Times {
  from: number;
  to: number;
  /** Undefined: it never ran. */
  began?: number;
  ran?: number;
  running?: boolean;
}
const closure = ({ from, to, began, ran }: Times) => ({
  createdAt: at(from),
  updatedAt: at(to),
  ...(began === undefined ? {} : { startedAt: at(began) }),
  ...(ran === undefined ? {} : { duration: at(ran) }),
});

function node(nodeId: string, times: Times, rest: Partial<Omit<SpanNode, 'execution'>> = {}): SpanNode {
  const phase = times.running ? NodePhase.RUNNING : NodePhase.SUCCEEDED;
  return {
    execution: {
      id: { nodeId, executionId: id },
      metadata: { specNodeId: nodeId },
      closure: { phase, ...closure(times) },
    } as never,
    parent: undefined,
    upstream: [],
    isGate: false,
    ...rest,
  };
}
function task(nodeId: string, retryAttempt: number, times: Times): RunTree['tasks'][number] {
  const taskId = { resourceType: ResourceType.TASK, org: '', project: 'p', domain: 'd', name: 't', version: 'v' };
  const phase = times.running ? TaskPhase.RUNNING : TaskPhase.SUCCEEDED;
  return {
    id: { taskId, nodeExecutionId: { nodeId, executionId: id }, retryAttempt },
    closure: { phase, ...closure(times) },
  } as never;
}
function run(times: Times, nodes: SpanNode[], rest: Partial<RunTree> = {}): RunTree {
  const phase = times.running ? Phase.RUNNING : Phase.SUCCEEDED;
  return {
    execution: { id, spec: undefined, closure: { phase, ...closure(times) } as never },
    nodes,
    tasks: [],
    children: new Map(),
    ...rest,
  };
}

const nameOf = ({ id: what }: Span): string => {
  switch (what?.$case) {
    case 'operationId':
      return what.value;
    case 'nodeId':
      return what.value.nodeId;
    case 'taskId':
      return `attempt ${what.value.retryAttempt}`;
    default:
      return 'run';
  }
};
const ms = (time: Timestamp | undefined): number => Number(nanosOf(time!)) / 1e6;
const told = (spans: readonly Span[]) => spans.map((span) => [nameOf(span), ms(span.startTime), ms(span.endTime)]);

describe('A-55: operations fill what the parts of a span leave', () => {
  test('between nodes', () => {
    const nodes = [
      node('start-node', { from: 0, to: 0 }),
      node('n0', { from: 2, to: 5 }),
      node('n1', { from: 7, to: 15 }, { upstream: ['n0'] }),
    ];
    expect(told(spansOfRun(run({ from: 0, to: 20 }, nodes), 1, at(99)).spans)).toEqual([
      ['WORKFLOW_SETUP', 0, 2],
      ['n0', 2, 5],
      ['NODE_TRANSITION', 5, 7],
      ['n1', 7, 15],
      ['WORKFLOW_TEARDOWN', 15, 20],
    ]);
  });

  test('a transition begins with the last of what a node waited for, whatever else runs meanwhile', () => {
    const nodes = [
      node('a', { from: 0, to: 4 }),
      node('b', { from: 0, to: 20 }),
      node('c', { from: 9, to: 12 }, { upstream: ['a'] }),
    ];
    expect(told(spansOfRun(run({ from: 0, to: 20 }, nodes), 1, at(99)).spans)).toEqual([
      ['a', 0, 4],
      ['b', 0, 20],
      ['NODE_TRANSITION', 4, 9],
      ['c', 9, 12],
    ]);
  });

  test('attempts of a node, and what one takes', () => {
    const tasks = [
      task('n0', 0, { from: 2, to: 6, began: 3, ran: 2 }),
      task('n0', 1, { from: 8, to: 14, began: 9, ran: 5 }),
    ];
    const tree = run({ from: 0, to: 20 }, [node('n0', { from: 0, to: 20 })], { tasks });
    const [n0] = spansOfRun(tree, 3, at(99)).spans;
    expect(told(n0!.spans)).toEqual([
      ['NODE_SETUP', 0, 2],
      ['attempt 0', 2, 6],
      ['NODE_RESET', 6, 8],
      ['attempt 1', 8, 14],
      ['NODE_TEARDOWN', 14, 20],
    ]);
    expect(told(n0!.spans[1]!.spans)).toEqual([
      ['TASK_SETUP', 2, 3],
      ['TASK_RUNTIME', 3, 5],
      ['TASK_TEARDOWN', 5, 6],
    ]);
    expect(told(n0!.spans[3]!.spans)).toEqual([
      ['TASK_SETUP', 8, 9],
      ['TASK_RUNTIME', 9, 14],
    ]);
  });

  test('a dynamic node: its attempt, then what it generated', () => {
    const nodes = [
      node('n0', { from: 0, to: 20 }),
      node('n0-0-dn0', { from: 8, to: 12 }, { parent: 'n0' }),
      node('n0-0-dn1', { from: 13, to: 18 }, { parent: 'n0', upstream: ['n0-0-dn0'] }),
    ];
    const tree = run({ from: 0, to: 20 }, nodes, { tasks: [task('n0', 0, { from: 1, to: 6 })] });
    expect(told(spansOfRun(tree, 2, at(99)).spans[0]!.spans)).toEqual([
      ['NODE_SETUP', 0, 1],
      ['attempt 0', 1, 6],
      ['NODE_RESET', 6, 8],
      ['n0-0-dn0', 8, 12],
      ['NODE_TRANSITION', 12, 13],
      ['n0-0-dn1', 13, 18],
      ['NODE_TEARDOWN', 18, 20],
    ]);
  });

  test('a gate waits', () => {
    const gate = node('n0', { from: 0, to: 20, began: 1, ran: 18 }, { isGate: true });
    expect(told(spansOfRun(run({ from: 0, to: 20 }, [gate]), 2, at(99)).spans[0]!.spans)).toEqual([
      ['NODE_SETUP', 0, 1],
      ['NODE_IDLE', 1, 19],
      ['NODE_TEARDOWN', 19, 20],
    ]);
  });

  test('a child run, which another clock says ended after its node', () => {
    const child = run({ from: 3, to: 25 }, [node('c0', { from: 5, to: 22 })]);
    const tree = run({ from: 0, to: 30 }, [node('n0', { from: 1, to: 20 })], { children: new Map([['n0', child]]) });
    const [, n0] = spansOfRun(tree, 10, at(99)).spans;
    expect(told(n0!.spans)).toEqual([
      ['NODE_SETUP', 1, 3],
      ['run', 3, 20],
    ]);
    expect(told(n0!.spans[1]!.spans)).toEqual([
      ['WORKFLOW_SETUP', 3, 5],
      ['c0', 5, 20],
    ]);
  });

  test('what has not begun is setup, what runs ends now', () => {
    expect(told(spansOfRun(run({ from: 0, to: 1, running: true }, []), 5, at(9)).spans)).toEqual([
      ['WORKFLOW_SETUP', 0, 9],
    ]);
    const tasks = [task('n0', 0, { from: 2, to: 3, began: 3, running: true })];
    const tree = run({ from: 0, to: 1, running: true }, [node('n0', { from: 1, to: 2, running: true })], { tasks });
    expect(told(spansOfRun(tree, 5, at(9)).spans)).toEqual([
      ['WORKFLOW_SETUP', 0, 1],
      ['n0', 1, 9],
    ]);
  });

  test('no more than the levels that are asked for', () => {
    const tasks = [task('n0', 0, { from: 1, to: 9, began: 2, ran: 3 })];
    const tree = run({ from: 0, to: 10 }, [node('n0', { from: 0, to: 10 })], { tasks });
    const height = (span: Span): number => Math.max(0, ...span.spans.map((part) => 1 + height(part)));
    for (const depth of [0, 1, 2, 3]) expect(height(spansOfRun(tree, depth, at(99)))).toBe(depth);
    expect(height(spansOfRun(tree, 50, at(99)))).toBe(3);
  });
});

const operations = new Set([
  ...[
    'WORKFLOW_SETUP',
    'WORKFLOW_TEARDOWN',
    'NODE_SETUP',
    'NODE_TEARDOWN',
    'NODE_RESET',
    'NODE_TRANSITION',
    'NODE_IDLE',
  ],
  ...['TASK_SETUP', 'TASK_RUNTIME', 'TASK_TEARDOWN'],
]);

/** Parts lie within their whole and cover it, and where none overlap, they add up to it. Throws where they don't. */
function covers(span: Span): void {
  const [start, end] = [ms(span.startTime), ms(span.endTime)];
  const check = (right: boolean, what: string) => {
    if (!right) throw new Error(`${nameOf(span)} ${start}–${end}, parts ${JSON.stringify(told(span.spans))}: ${what}`);
  };
  check(start <= end, 'ends before it begins');
  if (span.spans.length === 0) return;
  const parts = span.spans.map((part) => [ms(part.startTime), ms(part.endTime)] as const);
  let [reached, sum, alone] = [start, 0, true];
  for (const [from, to] of parts.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    check(from >= start && to <= end, 'a part reaches beyond it');
    check(from <= reached, 'a gap');
    if (from < reached) alone = false;
    reached = Math.max(reached, to);
    sum += to - from;
  }
  check(reached === end, 'its end is nobody’s');
  check(!alone || Math.abs(sum - (end - start)) <= (end - start) / 100, 'parts don’t add up');
  for (const part of span.spans) {
    if (part.id?.$case === 'operationId') check(operations.has(part.id.value), 'an operation that Flyte does not know');
    covers(part);
  }
}

/** Any times, of any clocks: nothing of them has to fit together. */
const times = fc
  .record({
    from: fc.integer({ min: 0, max: 1000 }),
    length: fc.integer({ min: 0, max: 1000 }),
    began: fc.option(fc.integer({ min: 0, max: 2000 }), { nil: undefined }),
    ran: fc.option(fc.integer({ min: 0, max: 1000 }), { nil: undefined }),
    running: fc.boolean(),
  })
  .map(({ from, length, ...rest }): Times => ({ from, to: from + length, ...rest }));

const tree = (depth: number): fc.Arbitrary<RunTree> =>
  fc
    .record({
      whole: times,
      nodes: fc.array(
        fc.record({ times, under: fc.nat(), after: fc.nat(), nested: fc.boolean(), isGate: fc.boolean() }),
        { maxLength: 6 },
      ),
      tasks: fc.array(fc.record({ times, of: fc.nat() }), { maxLength: 6 }),
      child: depth > 0 ? fc.option(tree(depth - 1), { nil: undefined }) : fc.constant(undefined),
    })
    .map(({ whole, nodes, tasks, child }) =>
      run(
        whole,
        nodes.map(({ times: each, under, after, nested, isGate }, i) =>
          node(`n${i}`, each, {
            parent: nested && i > 0 ? `n${under % i}` : undefined,
            upstream: i > 0 ? [`n${after % i}`] : ['start-node'],
            isGate,
          }),
        ),
        {
          tasks:
            nodes.length === 0 ? [] : tasks.map(({ times: each, of }, i) => task(`n${of % nodes.length}`, i, each)),
          children: new Map(child && nodes.length > 0 ? [['n0', child]] : []),
        },
      ),
    );

test('A-55, S-32: the parts cover the whole, at every level, whatever the times (a failure prints the seed that repeats it)', () => {
  fc.assert(
    fc.property(tree(2), fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 3000 }), (made, depth, now) => {
      covers(spansOfRun(made, depth, at(now)));
    }),
    { numRuns: 1_000 },
  );
});

test('S-32: where nothing runs side by side, all that is told of a run adds up to it', () => {
  const gap = fc.integer({ min: 0, max: 50 });
  const piece = fc.record({ before: gap, setup: gap, work: fc.integer({ min: 1, max: 500 }), after: gap });
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), gap, (pieces, tail) => {
      let clock = 0;
      const nodes: SpanNode[] = [];
      const tasks: RunTree['tasks'][number][] = [];
      for (const [i, { before, setup, work, after }] of pieces.entries()) {
        const from = (clock += before);
        const to = (clock += setup + work + after);
        nodes.push(node(`n${i}`, { from, to }, { upstream: i > 0 ? [`n${i - 1}`] : [] }));
        tasks.push(task(`n${i}`, 0, { from, to: to - after, began: from + setup, ran: work }));
      }
      const whole = clock + tail;
      const leaves = (span: Span): number =>
        span.spans.length === 0
          ? ms(span.endTime) - ms(span.startTime)
          : span.spans.reduce((sum, part) => sum + leaves(part), 0);
      expect(
        Math.abs(leaves(spansOfRun(run({ from: 0, to: whole }, nodes, { tasks }), 10, at(1e6))) - whole),
      ).toBeLessThanOrEqual(whole / 100);
    }),
    { numRuns: 200 },
  );
});
