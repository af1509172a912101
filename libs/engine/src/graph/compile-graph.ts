import { invalidArgument } from '@aloft/errors';
import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { WorkflowMetadata_OnFailurePolicy } from '@aloft/idl/flyteidl/core/workflow';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { keyOf } from './identifiers.js';
import { TemplateBuilder } from './template-builder.js';
import type { CompiledGraph, GraphTemplate } from './graph.js';

/**
 * A compiled closure as integers and arrays, in time linear in its nodes and edges. `digest` is the hex SHA-256 of the encoded
 * closure. Edges follow from bindings and `upstream_node_ids`, as Flyte's compiler derives them; nodes without upstream hang on
 * the start node, nodes without downstream on the end node (C-10).
 *
 * @throws INVALID_ARGUMENT naming the workflow and node, if the closure refers to something that isn't in it, or has a cycle.
 */
export function compileGraph(closure: CompiledWorkflowClosure, digest: string): CompiledGraph {
  const primary = closure.primary?.template;
  if (!primary) throw invalidArgument('compiled closure: primary.template is missing; it must hold the workflow');
  const tasks: TaskTemplate[] = [];
  const taskIndexes = new Map<string, number>();
  for (const task of closure.tasks) {
    if (!task.template) throw invalidArgument(`compiled closure: tasks[${tasks.length}].template is missing`);
    taskIndexes.set(keyOf(task.template.id), tasks.length);
    tasks.push(task.template);
  }
  const workflows: WorkflowTemplate[] = [primary];
  const workflowIndexes = new Map<string, number>();
  for (const sub of closure.subWorkflows) {
    if (!sub.template) throw invalidArgument('compiled closure: a sub-workflow has no template');
    const key = keyOf(sub.template.id);
    if (workflowIndexes.has(key)) continue;
    workflowIndexes.set(key, workflows.length);
    workflows.push(sub.template);
  }
  const templates: GraphTemplate[] = workflows.map((workflow, index) =>
    new TemplateBuilder(workflow, index, taskIndexes, workflowIndexes).build(),
  );
  return { digest, closure, templates, tasks };
}

export function failsAfterExecutable(template: GraphTemplate): boolean {
  return (
    template.workflow.metadata?.onFailure === WorkflowMetadata_OnFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
  );
}
