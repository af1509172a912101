import { readFileSync } from 'node:fs';
import { CompiledWorkflowClosure, type ConnectionSet } from '@aloft/idl/flyteidl/core/compiler';
import { LaunchPlan } from '@aloft/idl/flyteidl/admin/launch_plan';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { deterministicBytes, expectedInputsOf } from '@aloft/literals';
import { checkWorkflow, requirementsOf, type LaunchPlanInterface } from './index.js';

/** Workflows as flytekit registers them (libs/idl/testdata/make_golden.py), and what Flyte 1.16.5's own compiler makes of them. */
interface Workflow {
  name: string;
  template: string;
  subWorkflows: string[];
  tasks: string[];
  launchPlans: string[];
}
const read = <T>(path: string): T => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as T;
const workflows = read<Workflow[]>('../../idl/testdata/workflows.json');
const closures = read<{ name: string; closure?: string; codes?: string[] }[]>('../testdata/flyte-closures.json');

const bytes = (text: string) => Buffer.from(text, 'base64');
const templates = workflows.map(({ template }) => WorkflowTemplate.decode(bytes(template)));

function planOf(text: string): LaunchPlanInterface {
  const { id, spec } = LaunchPlan.decode(bytes(text));
  const workflow = templates.find((template) => template.id!.name === spec!.workflowId!.name)!;
  const plan = { defaults: spec!.defaultInputs, fixed: spec!.fixedInputs };
  return {
    id: id!,
    expectedInputs: expectedInputsOf(workflow.interface!.inputs, plan),
    expectedOutputs: workflow.interface!.outputs,
  };
}

const compile = (workflow: Workflow) =>
  checkWorkflow({
    template: WorkflowTemplate.decode(bytes(workflow.template)),
    subWorkflows: workflow.subWorkflows.map((text) => WorkflowTemplate.decode(bytes(text))),
    tasks: workflow.tasks.map((text) => TaskTemplate.decode(bytes(text))),
    launchPlans: workflow.launchPlans.map(planOf),
  });

const wholeOf = (closure: CompiledWorkflowClosure) => {
  const again = CompiledWorkflowClosure.decode(CompiledWorkflowClosure.encode(closure).finish());
  return CompiledWorkflowClosure.decode(deterministicBytes(CompiledWorkflowClosure, again));
};

/** Ours on purpose: a branch waits for what its cases use; in Flyte's closure only the case does. */
const branchWaits: Record<string, (flyte: ConnectionSet) => void> = {
  'workflow/nested-branch': ({ upstream, downstream }) => {
    downstream.n1!.ids = ['n2'];
    upstream['end-node']!.ids = ['n2'];
    upstream.n2!.ids = ['n0', 'n1', 'start-node'];
  },
  'workflow/branch-inputs-inside': ({ upstream, downstream }) => {
    downstream.n0!.ids = ['n2'];
    upstream['end-node']!.ids = ['n2'];
    upstream.n2!.ids = ['n0', 'n1'];
  },
};

/** Ours on purpose: what Flyte's compiler refuses though it could run. */
const acceptedByUs = new Set([
  'workflow/array-of-plans', // the item keeps its own interface, the array node takes and gives lists of it
  'workflow/attribute-condition', // a condition on a field of a dataclass has the type of the field
]);

const compilable = workflows.map((workflow, index) => [workflow.name, workflow, closures[index]!] as const);

test.each(compilable)('C-10, C-112: %s compiles to what Flyte compiles it to', (name, workflow, flyte) => {
  expect(flyte.name).toBe(name);
  const { closure, errors } = compile(workflow);
  if (flyte.closure === undefined) {
    if (acceptedByUs.has(name)) expect(errors).toEqual([]);
    else expect([...new Set(errors.map(({ code }) => code))]).toEqual(flyte.codes);
    return;
  }
  expect(errors).toEqual([]);
  const expected = CompiledWorkflowClosure.decode(bytes(flyte.closure));
  branchWaits[name]?.(expected.primary!.connections!);
  expect(wholeOf(closure!)).toEqual(wholeOf(expected));
});

test.each(compilable)('requirementsOf names what %s refers to, and that is what it came with', (_name, workflow) => {
  const subWorkflows = workflow.subWorkflows.map((text) => WorkflowTemplate.decode(bytes(text)));
  const {
    tasks,
    launchPlans,
    workflows: missing,
  } = requirementsOf(WorkflowTemplate.decode(bytes(workflow.template)), subWorkflows);
  const given = workflow.tasks.map((text) => TaskTemplate.decode(bytes(text)).id!.name);
  expect(tasks.filter(({ name }) => !given.includes(name)).map(({ name }) => name)).toEqual(
    workflow.name === 'workflow/reference' ? ['lib.tasks.score'] : [],
  );
  expect(launchPlans).toHaveLength(workflow.launchPlans.length);
  expect(missing).toEqual([]);
});

test('compiling leaves what was given as it was', () => {
  for (const workflow of workflows) {
    const template = WorkflowTemplate.decode(bytes(workflow.template));
    const before = JSON.stringify(WorkflowTemplate.toJSON(template));
    checkWorkflow({
      template,
      subWorkflows: workflow.subWorkflows.map((text) => WorkflowTemplate.decode(bytes(text))),
      tasks: workflow.tasks.map((text) => TaskTemplate.decode(bytes(text))),
      launchPlans: workflow.launchPlans.map(planOf),
    });
    expect(JSON.stringify(WorkflowTemplate.toJSON(template))).toBe(before);
  }
});
