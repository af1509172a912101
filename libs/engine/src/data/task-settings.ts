import type { RerunNode, RetryPolicy } from '@aloft/idl/aloft/v1/bus';
import type { Duration } from '@aloft/idl/google/protobuf/duration';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { TaskMetadata, type Resources, type TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { Node, TaskNodeOverrides } from '@aloft/idl/flyteidl/core/workflow';
import { Behaviour, behaves } from '../behaviours.js';
import { Kind, type GraphTemplate } from '../graph/graph.js';
import { taskPolicyOf, type TaskPolicy } from '../settings/task-policy.js';
import type { RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';
import { isPositive, times } from '../time.js';

/** What applies to a node's attempts: the node's own settings before the task's before the run's. */

const defaultUserAttempts = 1;
const defaultSystemFailures = 3;
/** Of the budget's attempts, how many at its end run on demand (C-41). */
const defaultThreshold = -1;

/** The node that runs a task: the node itself, or what an array maps over. */
export function runnable(template: GraphTemplate, node: number): Node {
  const spec = template.spec(node);
  return spec.target?.$case === 'arrayNode' ? (spec.target.value.node as Node) : spec;
}

const templates = new WeakMap<Node | RerunNode, TaskTemplate>();

/** What a person had changed of how the node runs. */
export function rerunOf(scope: Scope, node: number): RerunNode | undefined {
  const control = scope.changes?.edits.get(node)?.control?.control;
  return control?.$case === 'rerun' ? control.value : undefined;
}

/** The task of a task's node, or of an array's items: the workflow's, or the one that it was changed for. */
export function taskOf(scope: Scope, node: number): TaskTemplate {
  return taskIfAny(scope, node)!;
}

/** As {@link taskOf}, for nodes that may run something else. */
export function taskIfAny(scope: Scope, node: number): TaskTemplate | undefined {
  return rerunOf(scope, node)?.task ?? scope.graph.tasks[scope.template.targets[node]!];
}

/** C-94, and for a node that a person had run again: to find the old outputs is what that was not for. */
export function overwritesCache(run: RunState, scope: Scope, node: number): boolean {
  const edit = scope.changes?.edits.get(node);
  return run.settings.overwriteCache || (edit?.control?.control?.$case === 'rerun' && !edit.inherited);
}

/** The task's template with the node's overrides applied; the same object for every attempt. */
export function templateOf(scope: Scope, node: number): TaskTemplate {
  const spec = runnable(scope.template, node);
  const edit = rerunOf(scope, node);
  if (edit?.task || edit?.overrides) {
    const changed = templates.get(edit);
    if (changed) return changed;
    const task = withOverrides(taskOf(scope, node), spec);
    const whole = edit.overrides ? overridden(task, edit.overrides) : task;
    templates.set(edit, whole);
    return whole;
  }
  const known = templates.get(spec);
  if (known) return known;
  const own = taskOf(scope, node);
  const task = withOverrides(own, spec);
  if (task !== own) templates.set(spec, task);
  return task;
}

function withOverrides(task: TaskTemplate, spec: Node): TaskTemplate {
  const overrides = spec.target?.$case === 'taskNode' ? spec.target.value.overrides : undefined;
  const metadata = spec.metadata;
  let result = task;
  if (overrides) result = overridden(result, overrides);
  if (metadata?.cacheableValue || metadata?.cacheVersionValue || metadata?.cacheSerializableValue) {
    result = {
      ...result,
      metadata: {
        ...(result.metadata ?? TaskMetadata.create()),
        discoverable: metadata.cacheableValue?.value ?? result.metadata?.discoverable ?? false,
        discoveryVersion: metadata.cacheVersionValue?.value ?? result.metadata?.discoveryVersion ?? '',
        cacheSerializable: metadata.cacheSerializableValue?.value ?? result.metadata?.cacheSerializable ?? false,
      },
    };
  }
  return result;
}

function overridden(task: TaskTemplate, overrides: TaskNodeOverrides): TaskTemplate {
  const result = { ...task };
  if (overrides.extendedResources) result.extendedResources = overrides.extendedResources;
  if (task.target?.$case === 'container') {
    const container = { ...task.target.value };
    if (overrides.containerImage !== '') container.image = overrides.containerImage;
    if (overrides.resources) container.resources = mergeResources(container.resources, overrides.resources);
    result.target = { $case: 'container', value: container };
  }
  if (overrides.podTemplate) result.target = { $case: 'k8sPod', value: overrides.podTemplate };
  return result;
}

/** Each named resource of the override replaces the task's. */
export function mergeResources(base: Resources | undefined, over: Resources): Resources {
  const merge = (mine: Resources['requests'], theirs: Resources['requests']) => [
    ...mine.filter((entry) => !theirs.some((other) => other.name === entry.name)),
    ...theirs,
  ];
  return {
    requests: merge(base?.requests ?? [], over.requests),
    limits: merge(base?.limits ?? [], over.limits),
  };
}

/** Attempts that the user's own failures may use (C-30). */
export function userAttempts(run: RunState, scope: Scope, node: number): number {
  const spec = runnable(scope.template, node);
  const isTask = spec.target?.$case === 'taskNode';
  const retries = spec.metadata?.retries?.retries || (isTask ? taskOf(scope, node).metadata?.retries?.retries : 0);
  if (retries) return retries + 1;
  return retryPolicyOf(run, scope, node)?.attempts || run.settings.defaultUserAttempts || defaultUserAttempts;
}

/** Failures of the system after which it is given up (C-30). */
export function systemFailureBudget(run: RunState): number {
  return run.settings.maxSystemRetries || defaultSystemFailures;
}

const policies = new WeakMap<TaskTemplate, TaskPolicy>();

/** What the task's own template says of retries and limits; nothing for nodes without a task, and in runs from before it could. */
export function taskPolicy(run: RunState, scope: Scope, node: number): TaskPolicy {
  const task = taskIfAny(scope, node);
  const kind = scope.template.kinds[node];
  if (!task || (kind !== Kind.Task && kind !== Kind.Array) || !behaves(run, Behaviour.TaskPolicies)) return none;
  let policy = policies.get(task);
  if (!policy) policies.set(task, (policy = taskPolicyOf(task)));
  return policy;
}

const none: TaskPolicy = {};

/** C-36: the task's before the run's, as a whole. */
export function retryPolicyOf(run: RunState, scope: Scope, node: number): RetryPolicy | undefined {
  return taskPolicy(run, scope, node).retry ?? run.settings.retryPolicy;
}

/** C-50: the node's, the task's, the run's. */
export function executionTimeout(run: RunState, scope: Scope, node: number): Duration | undefined {
  const spec = runnable(scope.template, node);
  if (isPositive(spec.metadata?.timeout)) return spec.metadata?.timeout;
  const kind = scope.template.kinds[node];
  if (kind !== Kind.Task && kind !== Kind.Array) return undefined;
  const own = scope.template.targets[node]! >= 0 ? taskOf(scope, node).metadata : undefined;
  if (isPositive(own?.timeout)) return own?.timeout;
  return positive(run.settings.executionTimeout);
}

/** C-51: over all attempts and their waiting. A node's `timeout` is each attempt's alone (C-52); it once counted twice for this. */
export function activeTimeout(run: RunState, scope: Scope, node: number): Duration | undefined {
  if (!behaves(run, Behaviour.OwnActiveTimeout)) {
    const timeout = scope.template.spec(node).metadata?.timeout;
    return isPositive(timeout) ? times(timeout, 2) : undefined;
  }
  // Start, end and what only holds other nodes have no work of their own to be late with.
  const kind = scope.template.kinds[node];
  if (kind === Kind.Start || kind === Kind.End || kind === Kind.Branch) return undefined;
  return positive(taskPolicy(run, scope, node).activeTimeout) ?? positive(run.settings.activeTimeout);
}

/** C-52 Ours: how long an attempt may wait for its backend to run it. */
export function queueTimeout(run: RunState, scope: Scope, node: number): Duration | undefined {
  return positive(taskPolicy(run, scope, node).queueTimeout) ?? positive(run.settings.queueTimeout);
}

function positive(duration: Duration | undefined): Duration | undefined {
  return isPositive(duration) ? duration : undefined;
}

/** C-40; towards the end of its budget an attempt runs on demand (C-41). */
export function isInterruptible(
  run: RunState,
  scope: Scope,
  node: number,
  failures: { system: number; all: number },
): boolean {
  const spec = runnable(scope.template, node);
  const wanted =
    spec.metadata?.interruptibleValue?.value ??
    scope.template.spec(node).metadata?.interruptibleValue?.value ??
    taskIfAny(scope, node)?.metadata?.interruptibleValue?.value ??
    run.settings.interruptible ??
    run.root.template.workflow.metadataDefaults?.interruptible ??
    false;
  if (!wanted) return false;
  const merged = run.settings.ignoreRetryCause;
  const spent = merged ? failures.all : failures.system;
  const threshold = run.settings.interruptibleFailureThreshold ?? defaultThreshold;
  if (threshold > 0) return spent < threshold;
  return spent < (merged ? userAttempts(run, scope, node) : systemFailureBudget(run)) + threshold;
}

/** Only tasks are cacheable (C-97), with a version and something to remember (C-91). */
export function isCacheable(task: TaskTemplate): boolean {
  const metadata = task.metadata;
  return (
    metadata !== undefined &&
    metadata.discoverable &&
    metadata.discoveryVersion !== '' &&
    Object.keys(task.interface?.outputs?.variables ?? {}).length > 0
  );
}

export function workflowId(scope: Scope): Identifier {
  return (
    scope.template.workflow.id ?? {
      resourceType: ResourceType.WORKFLOW,
      project: '',
      domain: '',
      name: '',
      version: '',
      org: '',
    }
  );
}
