import type { CompiledTask, CompiledWorkflow, CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { ErrorCollector, refuse, type CompileError } from './compile-error.js';
import { formatIdentifier, identifierKey } from './identifier.js';
import type { LaunchPlanInterface } from './node-interface.js';
import { compileGraph, type Surroundings } from './workflow-graph.js';

export interface WorkflowToCompile {
  template: WorkflowTemplate;
  /** All sub-workflows, also those of sub-workflows. */
  subWorkflows?: readonly WorkflowTemplate[];
  /** The tasks that are referred to (see `requirementsOf`); they come with the closure in this order. */
  tasks?: readonly (CompiledTask | TaskTemplate)[];
  /** The launch plans that are referred to. */
  launchPlans?: readonly LaunchPlanInterface[];
}

/** A closure, or what is wrong. */
export type CompileResult =
  { closure: CompiledWorkflowClosure; errors: [] } | { closure: undefined; errors: CompileError[] };

/**
 * Compiles a workflow with all that it needs, as clients read it: `start-node` and `end-node` are nodes, connections say who waits
 * for whom, promises name their nodes, cases of branches have ids of their own. What was given isn't changed.
 *
 * @throws CompileFailure with everything that is wrong
 */
export function compileWorkflow(input: WorkflowToCompile): CompiledWorkflowClosure {
  const { closure, errors } = checkWorkflow(input);
  refuse(formatIdentifier(input.template.id), errors);
  return closure!;
}

/** {@link compileWorkflow} that returns errors. */
export function checkWorkflow({
  template,
  subWorkflows = [],
  tasks = [],
  launchPlans = [],
}: WorkflowToCompile): CompileResult {
  const errors = new ErrorCollector();
  const surroundings: Surroundings = {
    tasks: new Map(),
    launchPlans: new Map(launchPlans.map((plan) => [identifierKey(plan.id), plan])),
    subWorkflows: new Map(),
    compiled: new Map(),
    compiling: new Set(template.id === undefined ? [] : [identifierKey(template.id)]),
  };
  for (const task of tasks) {
    const taskTemplate = 'template' in task ? task.template : task;
    if (taskTemplate?.id === undefined) errors.add('ValueRequired', 'tasks', 'a task has no id');
    else if (!surroundings.tasks.has(identifierKey(taskTemplate.id)))
      surroundings.tasks.set(identifierKey(taskTemplate.id), taskTemplate);
  }
  for (const workflow of subWorkflows) {
    if (workflow.id === undefined) errors.add('ValueRequired', 'sub_workflows', 'a sub-workflow has no id');
    else if (surroundings.subWorkflows.has(identifierKey(workflow.id)))
      errors.add('DuplicateId', 'sub_workflows', `${formatIdentifier(workflow.id)} is given twice`);
    else surroundings.subWorkflows.set(identifierKey(workflow.id), workflow);
  }
  const primary = compileGraph(template, surroundings, errors);
  if (primary === undefined || errors.errors.length > 0) return { closure: undefined, errors: errors.errors };
  const compiledSubWorkflows = [...surroundings.subWorkflows].map(
    ([key, workflow]): CompiledWorkflow =>
      surroundings.compiled.get(key) ?? { template: workflow, connections: undefined },
  );
  return {
    closure: {
      primary,
      subWorkflows: compiledSubWorkflows,
      tasks: [...surroundings.tasks.values()].map((task) => ({ template: task })),
      launchPlans: [],
    },
    errors: [],
  };
}
