import { readFileSync } from 'node:fs';
import { compileWorkflow, type LaunchPlanInterface } from '@aloft/compiler';
import { LaunchPlan } from '@aloft/idl/flyteidl/admin/launch_plan';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { deterministicBytes, expectedInputsOf } from '@aloft/literals';
import { launchPlansOf, specOfClosure } from './spec-of-closure.js';

/** Workflows as flytekit registers them (libs/idl/testdata/make_golden.py): branches in branches, arrays, sub-workflows, plans, failure nodes. */
interface Registered {
  name: string;
  template: string;
  subWorkflows: string[];
  tasks: string[];
  launchPlans: string[];
}
const path = new URL('../../../../libs/idl/testdata/workflows.json', import.meta.url);
const registered = JSON.parse(readFileSync(path, 'utf8')) as Registered[];
const bytes = (text: string) => Buffer.from(text, 'base64');
const templates = registered.map(({ template }) => WorkflowTemplate.decode(bytes(template)));

function planOf(text: string): LaunchPlanInterface {
  const { id, spec } = LaunchPlan.decode(bytes(text));
  const workflow = templates.find((template) => template.id!.name === spec!.workflowId!.name)!;
  const given = { defaults: spec!.defaultInputs, fixed: spec!.fixedInputs };
  const expectedInputs = expectedInputsOf(workflow.interface!.inputs, given);
  return { id: id!, expectedInputs, expectedOutputs: workflow.interface!.outputs };
}

const production = (id: Identifier): Identifier => ({ ...id, domain: 'production' });

/** Every identifier in it, wherever it stands. */
function everywhere<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(everywhere) as T;
  const copy = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, everywhere(inner)]));
  return ('resourceType' in copy ? production(copy as unknown as Identifier) : copy) as T;
}

const canonical = (closure: CompiledWorkflowClosure) =>
  CompiledWorkflowClosure.decode(deterministicBytes(CompiledWorkflowClosure, closure));

function compiled(workflow: Registered): CompiledWorkflowClosure | undefined {
  try {
    const closure = compileWorkflow({
      template: WorkflowTemplate.decode(bytes(workflow.template)),
      subWorkflows: workflow.subWorkflows.map((text) => WorkflowTemplate.decode(bytes(text))),
      tasks: workflow.tasks.map((text) => TaskTemplate.decode(bytes(text))),
      launchPlans: workflow.launchPlans.map(planOf),
    });
    return canonical(closure);
  } catch {
    // Some are there because they don't compile.
    return undefined;
  }
}

const closures = registered.flatMap((workflow) => {
  const closure = compiled(workflow);
  return closure ? [[workflow.name, workflow, closure] as const] : [];
});

test('there are enough of them', () => expect(closures.length).toBeGreaterThan(20));

test.each(closures)('S-20: %s compiles to the same elsewhere', (_name, workflow, closure) => {
  const { template, subWorkflows } = specOfClosure(closure, production);
  const again = compileWorkflow({
    template,
    subWorkflows,
    tasks: everywhere(closure.tasks),
    launchPlans: workflow.launchPlans.map(planOf).map((plan) => ({ ...plan, id: production(plan.id!) })),
  });
  expect(canonical(again)).toEqual(canonical(everywhere(closure)));
  const plans = new Set(workflow.launchPlans.map((text) => LaunchPlan.decode(bytes(text)).id!.name));
  expect(new Set(launchPlansOf(closure).map(({ name }) => name))).toEqual(plans);
});
