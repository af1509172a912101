import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { DynamicJobSpec } from '@aloft/idl/flyteidl/core/dynamic_job';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { TypedInterface } from '@aloft/idl/flyteidl/core/interface';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { refuse, type CompileError } from './compile-error.js';
import { taskErrors } from './compile-task.js';
import { compileWorkflow } from './compile-workflow.js';
import { formatIdentifier, identifierKey } from './identifier.js';
import type { LaunchPlanInterface } from './node-interface.js';
import { requirementsOf, type Requirements } from './requirements.js';

export interface DynamicToCompile {
  spec: DynamicJobSpec;
  /** Id for the generated workflow: derived from the parent node, so that the same parent always gives the same. */
  id: Identifier;
  /** The dynamic task's: the generated workflow has to give its outputs. */
  interface: TypedInterface | undefined;
  /** Tasks that the spec refers to without containing them (references to registered ones, see `dynamicRequirements`). */
  tasks?: readonly TaskTemplate[];
  launchPlans?: readonly LaunchPlanInterface[];
}

/** What a generated workflow refers to and doesn't contain. */
export function dynamicRequirements(spec: DynamicJobSpec): Requirements {
  const requirements = requirementsOf(templateOf(spec, undefined, undefined), spec.subworkflows);
  const own = new Set(spec.tasks.flatMap(({ id }) => (id === undefined ? [] : [identifierKey(id)])));
  return { ...requirements, tasks: requirements.tasks.filter((id) => !own.has(identifierKey(id))) };
}

/**
 * Compiles what a dynamic task generated (C-150…C-152). Its nodes can't use the task's inputs: they are constants by then.
 *
 * @throws CompileFailure, a user's error
 */
export function compileDynamic({
  spec,
  id,
  interface: signature,
  tasks = [],
  launchPlans = [],
}: DynamicToCompile): CompiledWorkflowClosure {
  const errors: CompileError[] = spec.tasks.flatMap((task) =>
    taskErrors(task).map((error) => ({ ...error, within: formatIdentifier(task.id) })),
  );
  refuse(`dynamic ${formatIdentifier(id)}`, errors);
  return compileWorkflow({
    template: templateOf(spec, id, signature),
    subWorkflows: spec.subworkflows,
    tasks: [...spec.tasks, ...tasks],
    launchPlans,
  });
}

const templateOf = (
  spec: DynamicJobSpec,
  id: Identifier | undefined,
  signature: TypedInterface | undefined,
): WorkflowTemplate => ({
  id,
  metadata: undefined,
  interface: { inputs: { variables: {} }, outputs: signature?.outputs ?? { variables: {} } },
  nodes: spec.nodes,
  outputs: spec.outputs,
  failureNode: undefined,
  metadataDefaults: undefined,
});
