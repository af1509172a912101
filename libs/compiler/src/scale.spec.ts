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

/** The workflow with nodes, and a list of them, that count how often anything of them is looked at. */
function counted(template: WorkflowTemplate): { template: WorkflowTemplate; looks: () => number } {
  let looks = 0;
  const counting = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(of, name, self) {
        looks++;
        return Reflect.get(of, name, self) as unknown;
      },
    });
  const nodes = counting(template.nodes.map((node) => counting({ ...node, inputs: counting(node.inputs) })));
  return { template: { ...template, nodes }, looks: () => looks };
}

function looksPerNode(count: number): number {
  const { template, looks } = counted(chain(count));
  const closure = compileWorkflow({ template, tasks: [task] });
  expect(closure.primary!.template!.nodes).toHaveLength(count + 2);
  expect(closure.primary!.connections!.upstream['end-node']!.ids).toEqual([`n${count - 1}`]);
  return looks() / count;
}

test('C-112: each node is looked at as often in a chain of 10,000 as in one of 100, and no depth of chain is too much', () => {
  const [small, large] = [looksPerNode(100), looksPerNode(10_000)];
  expect(large).toBeLessThan(small * 1.1);
  compileWorkflow({ template: chain(30_000), tasks: [task] });
});
