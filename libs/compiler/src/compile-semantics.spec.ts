import { readFileSync } from 'node:fs';
import { Node } from '@aloft/idl/flyteidl/core/workflow';
import { DynamicJobSpec } from '@aloft/idl/flyteidl/core/dynamic_job';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { literalOf, typeOf } from '@aloft/literals';
import { CompileFailure, compileDynamic, compileTask, compileWorkflow, parseQuantity, taskErrors } from './index.js';
import {
  branchNode,
  constant,
  equalTo,
  identifier,
  input,
  launchPlanNode,
  launchPlanOf,
  output,
  taskNode,
  taskOf,
  variables,
  workflowOf,
} from './testing/index.js';

const { integer, string } = typeOf;
const inc = taskOf('inc', { a: integer() }, { o: integer() });
const one = constant(literalOf.integer(1));
const isOne = equalTo('x', literalOf.integer(1));

test('C-120: ids within nested branches become unique, and also where one recurs within a branch', () => {
  const inner = () =>
    branchNode('n0', { x: input('a') }, [{ when: isOne, then: taskNode('n0', 'inc', { a: one }) }], 'no');
  const closure = compileWorkflow({
    template: workflowOf({
      inputs: { a: integer() },
      nodes: [
        branchNode(
          'n0',
          { x: input('a') },
          [
            { when: isOne, then: inner() },
            { when: isOne, then: inner() },
          ],
          inner(),
        ),
      ],
    }),
    tasks: [inc],
  });
  const ids: string[] = [];
  const visit = (node: Node) => {
    ids.push(node.id);
    const ifElse = node.target?.$case === 'branchNode' ? node.target.value.ifElse : undefined;
    for (const block of ifElse ? [ifElse.case!, ...ifElse.other] : []) visit(block.thenNode!);
    if (ifElse?.default?.$case === 'elseNode') visit(ifElse.default.value);
  };
  closure.primary!.template!.nodes.forEach(visit);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).toEqual([
    'start-node',
    'end-node',
    'n0',
    'n0-n0',
    'n0-n0-n0',
    'n0-n0-2',
    'n0-n0-2-n0',
    'n0-n0-3',
    'n0-n0-3-n0',
  ]);
});

test('C-123: a branch gives what all its cases give', () => {
  const two = taskOf('two', { a: integer() }, { o: integer(), extra: string() });
  const branch = branchNode(
    'n0',
    { x: one },
    [{ when: isOne, then: taskNode('n0', 'two', { a: one }) }],
    taskNode('n1', 'inc', { a: one }),
  );
  const compile = (name: string) =>
    compileWorkflow({
      template: workflowOf({
        outputs: { r: name === 'o' ? integer() : string() },
        nodes: [branch],
        returns: { r: output('n0', name) },
      }),
      tasks: [inc, two],
    });
  expect(compile('o').primary).toBeDefined();
  expect(() => compile('extra')).toThrow(/no output of that name \(there are: o\)/);
});

test('a node need not bind an input that a launch plan has a default for, and may not bind a fixed one', () => {
  const plan = launchPlanOf('lp', {
    parameters: {
      needed: { var: variables({ v: integer() }).variables.v, behavior: { $case: 'required', value: true } },
      optional: {
        var: variables({ v: string() }).variables.v,
        behavior: { $case: 'default', value: literalOf.string('x') },
      },
    },
  });
  const compile = (bound: Parameters<typeof launchPlanNode>[2]) =>
    compileWorkflow({ template: workflowOf({ nodes: [launchPlanNode('n0', 'lp', bound)] }), launchPlans: [plan] });
  expect(compile({ needed: one }).primary).toBeDefined();
  expect(() => compile({ needed: one, optional: one })).toThrow(/MismatchingTypes/);
  expect(() => compile({})).toThrow(/ParameterNotBound at node n0: input 'needed'/);
  expect(() => compile({ needed: one, fixed: one })).toThrow(/no input 'fixed'/);
});

test('C-62: a failure node is checked, and has connections of its own', () => {
  const template = workflowOf({
    inputs: { a: integer() },
    nodes: [taskNode('n0', 'inc', { a: input('a') })],
    failureNode: taskNode('fn0', 'inc', { a: input('a') }),
  });
  const { primary } = compileWorkflow({ template, tasks: [inc] });
  expect(primary!.template!.failureNode!.id).toBe('fn0');
  expect(primary!.connections!.upstream.fn0).toEqual({ ids: ['start-node'] });
  expect(primary!.connections!.downstream['start-node']).toEqual({ ids: ['n0'] });
  const broken = { ...template, failureNode: taskNode('fn0', 'inc') };
  expect(() => compileWorkflow({ template: broken, tasks: [inc] })).toThrow(/ParameterNotBound at node fn0/);
});

test('C-130: an approval gives what it was given, wherever it stands in the list of nodes', () => {
  const gate = Node.fromPartial({
    id: 'n1',
    target: { $case: 'gateNode', value: { condition: { $case: 'approve', value: { signalId: 's' } } } },
    inputs: [{ var: 'v', binding: output('n2', 'o') }],
  });
  const nodes = [taskNode('n0', 'inc', { a: output('n1', 'v') }), gate, taskNode('n2', 'inc', { a: one })];
  expect(compileWorkflow({ template: workflowOf({ nodes }), tasks: [inc] }).primary).toBeDefined();
});

test('C-140: an array of child executions takes lists, and gives lists of optional values where items may fail', () => {
  const plan = launchPlanOf(
    'lp',
    {
      parameters: { a: { var: variables({ v: integer() }).variables.v, behavior: { $case: 'required', value: true } } },
    },
    { o: integer() },
  );
  const array = (ratio: number): Node =>
    Node.fromPartial({
      id: 'n0',
      target: {
        $case: 'arrayNode',
        value: {
          node: launchPlanNode('item', 'lp'),
          isOriginalSubNodeInterface: true,
          successCriteria: { $case: 'minSuccessRatio', value: ratio },
        },
      },
      inputs: [{ var: 'a', binding: input('xs') }],
    });
  const compile = (ratio: number, result: ReturnType<typeof typeOf.collection>) =>
    compileWorkflow({
      template: workflowOf({
        inputs: { xs: typeOf.collection(integer()) },
        outputs: { r: result },
        nodes: [array(ratio)],
        returns: { r: output('n0', 'o') },
      }),
      launchPlans: [plan],
    });
  expect(compile(1, typeOf.collection(integer())).primary).toBeDefined();
  expect(compile(0.5, typeOf.collection(typeOf.optional(integer()))).primary).toBeDefined();
  expect(() => compile(0.5, typeOf.collection(integer()))).toThrow(/MismatchingTypes/);
  expect(() => compile(1.5, typeOf.collection(integer()))).toThrow(/InvalidArrayNode.*within 0 and 1/);
});

describe('C-150: dynamic job specs', () => {
  const golden = JSON.parse(readFileSync(new URL('../../idl/testdata/golden.json', import.meta.url), 'utf8')) as {
    name: string;
    bytes: string;
  }[];
  const futures = golden.find(({ name }) => name === 'dynamic/futures')!;
  const spec = DynamicJobSpec.decode(Buffer.from(futures.bytes, 'base64'));
  const id = identifier('dynamic', ResourceType.WORKFLOW);

  test('what flytekit writes compiles against the interface of the task', () => {
    const { primary, tasks } = compileDynamic({
      spec,
      id,
      interface: { inputs: variables({ n: integer() }), outputs: variables({ o0: typeOf.collection(integer()) }) },
    });
    expect(primary!.template!.nodes.map((node) => node.id)).toEqual(['start-node', 'end-node', 'dn0', 'dn1', 'dn2']);
    expect(primary!.connections!.upstream['end-node']!.ids).toEqual(['dn0', 'dn1', 'dn2']);
    expect(tasks).toHaveLength(1);
  });

  test('C-152: outputs of another type are refused', () => {
    const signature = { inputs: undefined, outputs: variables({ o0: typeOf.collection(string()) }) };
    expect(() => compileDynamic({ spec, id, interface: signature })).toThrow(CompileFailure);
  });
});

describe('K-3, K-4: tasks', () => {
  const container = (parts: object) =>
    TaskTemplate.fromPartial({ ...inc, target: { $case: 'container', value: { image: 'i', args: ['x'], ...parts } } });
  const resources = (requests: [number, string][], limits: [number, string][]) =>
    container({
      resources: {
        requests: requests.map(([name, value]) => ({ name, value })),
        limits: limits.map(([name, value]) => ({ name, value })),
      },
    });
  const [cpu, gpu, memory] = [1, 2, 3];

  test.each([
    ['no id', { ...inc, id: undefined }, 'id'],
    ['no type', { ...inc, type: '' }, 'type'],
    ['no interface', { ...inc, interface: undefined }, 'interface'],
    [
      'no runtime version',
      TaskTemplate.fromPartial({ ...inc, metadata: { runtime: { version: '' } } }),
      'metadata.runtime.version',
    ],
    ['no image', container({ image: '' }), 'container.image'],
    ['no command', container({ args: [] }), 'container.command'],
    ['a request above its limit', resources([[cpu, '2']], [[cpu, '500m']]), 'container.resources.cpu'],
    ['half a gpu', resources([[gpu, '500m']], []), 'container.resources.requests.gpu'],
    ['a gpu request that is not its limit', resources([[gpu, '1']], [[gpu, '2']]), 'container.resources.gpu'],
    ['a resource twice', resources([[memory, '1Gi'], [memory, '2Gi']], []), 'container.resources.requests.memory'], // prettier-ignore
    ['no quantity', resources([[memory, '1 gig']], []), 'container.resources.requests.memory'],
  ])('with %s are refused', (_what, template, field) => {
    expect(taskErrors(template).map(({ nodeId }) => nodeId)).toEqual([field]);
    expect(() => compileTask(template)).toThrow(CompileFailure);
  });

  test('a fine one compiles', () => {
    expect(compileTask(resources([[gpu, '1'], [cpu, '500m']], [[gpu, '1']])).template).toBeDefined(); // prettier-ignore
  });

  test('quantities read as Kubernetes reads them, in billionths', () => {
    const giga = 10n ** 9n;
    for (const [text, value] of [
      ['1', giga],
      ['500m', giga / 2n],
      ['1.5Gi', ((3n * 2n ** 30n) / 2n) * giga],
      ['1e3', 1000n * giga],
      ['100n', 100n],
      ['0.1n', 1n],
      ['-2k', -2000n * giga],
      ['.5', giga / 2n],
    ] as const)
      expect([text, parseQuantity(text)]).toEqual([text, value]);
    for (const text of ['', 'x', '1GB', '1 Gi', '--1']) expect(parseQuantity(text)).toBeUndefined();
  });
});
