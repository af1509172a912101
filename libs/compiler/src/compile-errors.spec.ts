import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { Node } from '@aloft/idl/flyteidl/core/workflow';
import { literalOf, typeOf } from '@aloft/literals';
import {
  checkWorkflow,
  compileWorkflow,
  CompileFailure,
  type CompileErrorCode,
  type WorkflowToCompile,
} from './index.js';
import {
  bindings,
  branchNode,
  comparison,
  constant,
  equalTo,
  identifier,
  launchPlanNode,
  listOf,
  mapOf,
  output,
  subWorkflowNode,
  taskNode,
  taskOf,
  workflowOf,
  type WorkflowParts,
} from './testing/index.js';

const { integer, string, float } = typeOf;
const union = typeOf.union(typeOf.collection(integer()), typeOf.collection(float()), integer());
const config = {
  ...typeOf.struct(),
  structure: { tag: '', dataclassType: { depth: integer(), names: typeOf.collection(string()) } },
};
const tasks = [
  taskOf('inc', { a: integer() }, { o: integer() }),
  taskOf('void'),
  taskOf('text', { s: string() }, { o: string() }),
  taskOf('color', { c: typeOf.enum('red', 'green') }),
  taskOf('sum', { xs: typeOf.collection(integer()) }, { o: integer() }),
  taskOf('either', { u: union }),
  taskOf('maybe', { u: typeOf.optional(integer()) }),
  taskOf('config', {}, { o: config }),
];
const check = (parts: WorkflowParts, more: Partial<WorkflowToCompile> = {}) =>
  checkWorkflow({ template: workflowOf(parts), tasks, ...more }).errors;
const one = constant(literalOf.integer(1));
const text = constant(literalOf.string('x'));
const inc = (id: string, a = one, after: string[] = []) => taskNode(id, 'inc', { a }, after);
const isOne = equalTo('x', literalOf.integer(1));

/** One workflow for each class of error (C-112), with the node and words that its message must have. */
const cases: [CompileErrorCode, string, string, RegExp, WorkflowParts, Partial<WorkflowToCompile>?][] = [
  [
    'CycleDetected',
    'nodes that wait for each other',
    'n0',
    /n0 > n1 > n0/,
    { nodes: [inc('n0', output('n1', 'o')), inc('n1', output('n0', 'o')), inc('n2')] },
  ],
  [
    'CycleDetected',
    'a sub-workflow that contains itself',
    'n0',
    /workflow p\/d\/s@v contains itself/,
    { nodes: [subWorkflowNode('n0', 's')] },
    { subWorkflows: [workflowOf({ name: 's', nodes: [subWorkflowNode('n0', 's')] })] },
  ],
  [
    'UnreachableNodes',
    'nodes that no path leads to',
    'start-node',
    /no path from the start leads to n0, n1/,
    { nodes: [inc('n0', output('n1', 'o')), inc('n1', output('n0', 'o')), inc('n2')] },
  ],
  [
    'NoEntryNodeFound',
    'no node can start',
    'start-node',
    /each waits for another/,
    { nodes: [inc('n0', output('n0', 'o'))] },
  ],
  [
    'NoExitNodeFound',
    'no node leads to the end',
    'end-node',
    /another waits for each/,
    { nodes: [inc('n0', output('n0', 'o'))] },
  ],
  ['NoNodesFound', 'an empty workflow', 'start-node', /at least one/, {}],
  [
    'NodeReferenceNotFound',
    'a promise of a node that is not there',
    'n0',
    /'a' refers to node 'nope'/,
    { nodes: [inc('n0', output('nope', 'o'))] },
  ],
  [
    'NodeReferenceNotFound',
    'waiting for a node that is not there',
    'n0',
    /node 'nope'/,
    { nodes: [inc('n0', one, ['nope'])] },
  ],
  [
    'TaskReferenceNotFound',
    'a task that was not given',
    'n0',
    /task p\/d\/nope@v/,
    { nodes: [taskNode('n0', 'nope')] },
  ],
  [
    'WorkflowReferenceNotFound',
    'a sub-workflow that was not given',
    'n0',
    /p\/d\/nope@v/,
    { nodes: [subWorkflowNode('n0', 'nope')] },
  ],
  [
    'WorkflowReferenceNotFound',
    'a launch plan that was not given',
    'n0',
    /launch plan p\/d\/nope@v/,
    { nodes: [launchPlanNode('n0', 'nope')] },
  ],
  [
    'VariableNameNotFound',
    'an output that is not there',
    'n1',
    /'zz', but node 'n0' has no output of that name \(there are: o\)/,
    { nodes: [inc('n0'), inc('n1', output('n0', 'zz'))] },
  ],
  [
    'VariableNameNotFound',
    'an input that is not there',
    'n0',
    /no input 'zz' \(inputs: a\)/,
    { nodes: [taskNode('n0', 'inc', { a: one, zz: one })] },
  ],
  [
    'VariableNameNotFound',
    'a condition on what is not bound',
    'n0',
    /condition uses 'x'.*bound: none/,
    { nodes: [branchNode('n0', {}, [{ when: isOne, then: taskNode('n0', 'void') }], 'no')] },
  ],
  [
    'MismatchingTypes',
    'a promise of another type',
    'n1',
    /input 's' expects string, but 'o' of node 'n0' is integer/,
    { nodes: [inc('n0'), taskNode('n1', 'text', { s: output('n0', 'o') })] },
  ],
  [
    'MismatchingTypes',
    'a constant of another type',
    'n0',
    /expects integer, but the constant is string/,
    { nodes: [inc('n0', text)] },
  ],
  [
    'MismatchingTypes',
    'an output of another type',
    'end-node',
    /expects string/,
    { outputs: { r: string() }, nodes: [inc('n0')], returns: { r: output('n0', 'o') } },
  ],
  [
    'MismatchingTypes',
    'a condition over two types',
    'n0',
    /compares string with integer/,
    { nodes: [branchNode('n0', { x: text }, [{ when: isOne, then: taskNode('n0', 'void') }], 'no')] },
  ],
  [
    'MismatchingTypes',
    'cases of a branch that give other types',
    'n0-n1',
    /output 'o' is string here but integer/,
    {
      nodes: [branchNode('n0', { x: one }, [{ when: isOne, then: inc('n0') }], taskNode('n1', 'text', { s: text }))],
    },
  ],
  [
    'MismatchingBindings',
    'a list where none is expected',
    'n0',
    /bound to a list, but integer is expected/,
    { nodes: [inc('n0', listOf(one))] },
  ],
  [
    'MismatchingBindings',
    'a map where none is expected',
    'n0',
    /bound to a map, but list<integer> is expected/,
    { nodes: [taskNode('n0', 'sum', { xs: mapOf({ k: one }) })] },
  ],
  [
    'ParameterNotBound',
    'an input without a binding',
    'n0',
    /input 'a' \(integer\) is not bound/,
    { nodes: [taskNode('n0', 'inc')] },
  ],
  [
    'ParameterNotBound',
    "a workflow's output without a binding",
    'end-node',
    /'r' \(integer\)/,
    { outputs: { r: integer() }, nodes: [inc('n0')] },
  ],
  [
    'ParameterNotBound',
    'an alias of an output that is not there',
    'n0',
    /'zz', which doesn't exist/,
    { nodes: [{ ...inc('n0'), outputAliases: [{ var: 'zz', alias: 'y' }] }] },
  ],
  [
    'DuplicateAlias',
    'an output with two aliases',
    'n0',
    /'o' has several aliases/,
    {
      nodes: [
        {
          ...inc('n0'),
          outputAliases: [
            { var: 'o', alias: 'x' },
            { var: 'o', alias: 'y' },
          ],
        },
      ],
    },
  ],
  [
    'ParameterBoundMoreThanOnce',
    'an input bound twice',
    'n0',
    /'a' is bound more than once/,
    { nodes: [{ ...inc('n0'), inputs: [...bindings({ a: one }), ...bindings({ a: one })] }] },
  ],
  [
    'BranchNodeHasNoDefault',
    'a branch without else',
    'n0',
    /needs an else/,
    { nodes: [branchNode('n0', { x: one }, [{ when: isOne, then: inc('n0') }])] },
  ],
  [
    'BranchNodeHasNoCondition',
    'a branch without a case',
    'n0',
    /no first case/,
    { nodes: [branchNode('n0', {}, [], 'no')] },
  ],
  [
    'BranchNodeHasNoCondition',
    'a case without a condition',
    'n0',
    /has no condition/,
    { nodes: [branchNode('n0', {}, [{ then: inc('n0') }], 'no')] },
  ],
  [
    'BranchNodeIdNotFound',
    'a case without a node',
    'n0',
    /no node to run/,
    { nodes: [branchNode('n0', { x: one }, [{ when: isOne }], 'no')] },
  ],
  ['DuplicateId', 'two nodes of one id', 'n0', /two nodes have the id 'n0'/, { nodes: [inc('n0'), inc('n0')] }],
  ['DuplicateId', 'a reserved id', 'end-node', /reserved/, { nodes: [inc('end-node')] }],
  [
    'DuplicateId',
    'two sub-workflows of one id',
    'sub_workflows',
    /given twice/,
    { nodes: [inc('n0')] },
    { subWorkflows: [workflowOf({ name: 's', nodes: [inc('n0')] }), workflowOf({ name: 's', nodes: [inc('n0')] })] },
  ],
  [
    'AmbiguousBindingUnionValue',
    'a list that fits two variants',
    'n0',
    /several variants of .*: list<integer> and list<float>/,
    { nodes: [taskNode('n0', 'either', { u: listOf() })] },
  ],
  [
    'IncompatibleBindingUnionValue',
    'a list that fits no variant',
    'n0',
    /fits no variant/,
    { nodes: [taskNode('n0', 'either', { u: listOf(text) })] },
  ],
  [
    'FieldNotFound',
    'a field that a dataclass does not have',
    'n1',
    /no field 'zz' \(fields: depth, names\)/,
    { nodes: [taskNode('n0', 'config'), inc('n1', output('n0', 'o', 'zz'))] },
  ],
  [
    'FieldNotFound',
    'a field of an integer',
    'n1',
    /integer has no field 'x'/,
    { nodes: [inc('n0'), inc('n1', output('n0', 'o', 'x'))] },
  ],
  [
    'IllegalEnumValue',
    'a value that an enum does not have',
    'n0',
    /'blue', which is none of 'red', 'green'/,
    { nodes: [taskNode('n0', 'color', { c: constant(literalOf.string('blue')) })] },
  ],
  [
    'SyntaxError',
    'a malformed variable',
    'n1',
    /'a\.\.b'.*\[index\]\.name/,
    { nodes: [inc('n0'), inc('n1', output('n0', 'a..b'))] },
  ],
  ['ValueRequired', 'a node without an id', 'nodes[0]', /no id/, { nodes: [inc('')] }],
  ['ValueRequired', 'a node without a target', 'n0', /no target/, { nodes: [Node.create({ id: 'n0' })] }],
  [
    'ValueRequired',
    'an empty binding',
    'n0',
    /binding of input 'a' is empty/,
    { nodes: [{ ...inc('n0'), inputs: [{ var: 'a', binding: undefined }] }] },
  ],
  [
    'ValueRequired',
    'half a comparison',
    'n0',
    /right side/,
    {
      nodes: [
        branchNode(
          'n0',
          { x: one },
          [{ when: comparison({ val: { $case: 'var', value: 'x' } }, undefined), then: inc('n0') }],
          'no',
        ),
      ],
    },
  ],
  [
    'UnrecognizedValue',
    'a constant without a value',
    'n0',
    /has no value/,
    { nodes: [inc('n0', { value: { $case: 'scalar', value: { value: undefined } }, union: undefined })] },
  ],
  [
    'InvalidLiteralType',
    'an offloaded constant of unknown type',
    'n0',
    /no type noted/,
    {
      nodes: [
        inc('n0', {
          value: { $case: 'offloadedMetadata', value: { uri: 's3://b/k', sizeBytes: 5n, inferredType: undefined } },
          union: undefined,
        }),
      ],
    },
  ],
  [
    'NoConditionFound',
    'a gate without a condition',
    'n0',
    /neither approve, signal nor sleep/,
    { nodes: [Node.create({ id: 'n0', target: { $case: 'gateNode', value: { condition: undefined } } })] },
  ],
  [
    'InvalidArrayNode',
    'an array of sub-workflows',
    'n0',
    /not sub-workflows/,
    {
      nodes: [
        Node.fromPartial({ id: 'n0', target: { $case: 'arrayNode', value: { node: subWorkflowNode('x', 's') } } }),
      ],
    },
    { subWorkflows: [workflowOf({ name: 's', nodes: [inc('n0')] })] },
  ],
];

test.each(cases.map((item) => [item[0], item[1], item] as const))('C-112: %s for %s', (code, _what, item) => {
  const [, , nodeId, message, parts, more] = item;
  expect(check(parts, more)).toContainEqual(
    expect.objectContaining({ code, nodeId, message: expect.stringMatching(message) as string }),
  );
});

test('C-112: all errors are collected, and thrown as one INVALID_ARGUMENT that names them', () => {
  const template = workflowOf({ nodes: [inc('n0', text), taskNode('n1', 'nope'), taskNode('n2', 'text')] });
  const failure = (() => {
    try {
      compileWorkflow({ template, tasks });
    } catch (error) {
      return error;
    }
  })() as CompileFailure;
  expect(failure).toBeInstanceOf(CompileFailure);
  expect(failure.code).toBe('INVALID_ARGUMENT');
  expect(failure.errors.map(({ code, nodeId }) => [code, nodeId])).toEqual([
    ['MismatchingTypes', 'n0'],
    ['TaskReferenceNotFound', 'n1'],
    ['ParameterNotBound', 'n2'],
  ]);
  expect(failure.message).toMatch(/^workflow p\/d\/w@v does not compile, 3 errors:\n {2}MismatchingTypes at node n0: /);
});

test('C-112: errors within a sub-workflow name it, once, however often it is used', () => {
  const subWorkflows = [workflowOf({ name: 's', nodes: [inc('n5', text)] })];
  expect(check({ nodes: [subWorkflowNode('n0', 's'), subWorkflowNode('n1', 's')] }, { subWorkflows })).toEqual([
    expect.objectContaining({ code: 'MismatchingTypes', nodeId: 'n5', within: 'workflow p/d/s@v' }),
  ]);
});

test('C-112: an error is not followed by errors that only stem from it', () => {
  const nodes = [taskNode('n0', 'nope'), inc('n1', output('n0', 'o')), inc('n2', output('n1', 'o'))];
  expect(check({ nodes }).map(({ code }) => code)).toEqual(['TaskReferenceNotFound']);
});

test('C-102: an optional input need not be bound', () => {
  expect(check({ nodes: [taskNode('n0', 'maybe')] })).toEqual([]);
});

test('references of another resource type are other references', () => {
  const node = taskNode('n0', 'inc', { a: one });
  if (node.target?.$case === 'taskNode')
    node.target.value.reference = { $case: 'referenceId', value: identifier('inc', ResourceType.WORKFLOW) };
  expect(check({ nodes: [node] })).toEqual([expect.objectContaining({ code: 'TaskReferenceNotFound' })]);
});
