import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { Node, WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { typeOf } from '@aloft/literals';
import { compileWorkflow } from './index.js';

const id = (name: string, resourceType = ResourceType.TASK) => ({
  resourceType,
  project: 'p',
  domain: 'd',
  name,
  version: 'v',
  org: '',
});
const integer = { type: typeOf.integer(), description: '', artifactPartialId: undefined, artifactTag: undefined };
const task = TaskTemplate.fromPartial({
  id: id('t'),
  type: 'noop',
  interface: { inputs: { variables: { a: integer } }, outputs: { variables: { o: integer } } },
});

const chain = (count: number): WorkflowTemplate =>
  WorkflowTemplate.fromPartial({
    id: id('w', ResourceType.WORKFLOW),
    interface: { inputs: { variables: { a: integer } }, outputs: { variables: { o: integer } } },
    nodes: Array.from({ length: count }, (_, i): Node =>
      Node.fromPartial({
        id: `n${i}`,
        inputs: [
          {
            var: 'a',
            binding: {
              value: { $case: 'promise', value: { nodeId: i === 0 ? '' : `n${i - 1}`, var: i === 0 ? 'a' : 'o' } },
            },
          },
        ],
        target: { $case: 'taskNode', value: { reference: { $case: 'referenceId', value: id('t') } } },
      }),
    ),
    outputs: [{ var: 'o', binding: { value: { $case: 'promise', value: { nodeId: `n${count - 1}`, var: 'o' } } } }],
  });

test('C-112: a chain of 10,000 nodes compiles well under a second, and no depth of chain is too much', () => {
  compileWorkflow({ template: chain(1000), tasks: [task] });
  const template = chain(10_000);
  const started = performance.now();
  const closure = compileWorkflow({ template, tasks: [task] });
  const elapsed = performance.now() - started;
  console.log(`10,000 nodes in ${elapsed.toFixed(0)} ms`);
  expect(closure.primary!.template!.nodes).toHaveLength(10_002);
  expect(closure.primary!.connections!.upstream['end-node']!.ids).toEqual(['n9999']);
  // 0.25 s on two quiet cores; the bound leaves room for whatever else the machine is doing.
  expect(elapsed).toBeLessThan(3000);
  compileWorkflow({ template: chain(30_000), tasks: [task] });
});
