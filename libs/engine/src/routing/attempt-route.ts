import { toAloftError } from '@aloft/errors';
import type { ExecutionSettings } from '@aloft/idl/aloft/v1/bus';
import type { Resources, TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { memoryFactor } from '../data/backoff.js';
import { isInterruptible, retryPolicyOf, templateOf, workflowId } from '../data/task-settings.js';
import type { ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { amountsOf, resourcesOfPod } from './amounts.js';
import { effectiveResources } from './resources.js';
import { routeOf } from './route.js';
import type { Routed } from './routed.js';

/** What decides of an attempt, beyond its node: the same when it is launched and when it is told to end. */
export interface AttemptMeans {
  interruptible: boolean;
  /** C-36: how much more memory it gets. */
  memoryFactor: number;
}

/** Of the node's current attempt. */
export function meansOf(run: RunState, work: NodeWork): AttemptMeans {
  const { scope, node } = work;
  return {
    interruptible: isInterruptible(run, scope, node, { system: work.systemFailures, all: work.attempt }),
    memoryFactor: memoryFactor(retryPolicyOf(run, scope, node), work.outOfMemory),
  };
}

/** Of an item's current attempt. */
export function meansOfItem(run: RunState, { scope, node }: NodeWork, items: ArrayItems, index: number): AttemptMeans {
  const failures = { system: items.systemFailures[index]!, all: items.attempts[index]! };
  return {
    interruptible: isInterruptible(run, scope, node, failures),
    memoryFactor: memoryFactor(retryPolicyOf(run, scope, node), items.outOfMemory.get(index) ?? 0),
  };
}

interface Answer {
  means: AttemptMeans;
  workflow: string;
  routed: Routed;
}

/** By the run's settings, of which there is one object a run; the last answer for each template: attempts and items mostly repeat. */
const known = new WeakMap<ExecutionSettings, WeakMap<TaskTemplate, Answer>>();

/** Undefined in runs from before routing was recorded with them. */
export function attemptRoute(run: RunState, work: NodeWork, means: AttemptMeans): Routed | undefined {
  const { settings } = run;
  if (!settings.routing) return undefined;
  const template = templateOf(work.scope, work.node);
  const workflow = workflowId(work.scope).name;
  let ofRun = known.get(settings);
  if (!ofRun) known.set(settings, (ofRun = new WeakMap()));
  const last = ofRun.get(template);
  const isSame = last?.means.interruptible === means.interruptible && last.means.memoryFactor === means.memoryFactor;
  if (isSame && last.workflow === workflow) return last.routed;
  const routed = resolve(run, workflow, template, means);
  ofRun.set(template, { means, workflow, routed });
  return routed;
}

function resolve(run: RunState, workflow: string, template: TaskTemplate, means: AttemptMeans): Routed {
  const { settings, id } = run;
  try {
    const resources = askedFor(template, settings, means.memoryFactor);
    const facts = {
      taskType: template.type,
      task: template.id?.name ?? '',
      workflow,
      project: id.project,
      domain: id.domain,
      labels: settings.labels,
      interruptible: means.interruptible,
      asks: amountsOf(resources),
    };
    return { route: { ...routeOf(settings.routing!, facts, settings.pluginOverrides), resources } };
  } catch (error) {
    return { refused: toAloftError(error) };
  }
}

/** S-27. A pod's resources are its own. */
export function askedFor({ target }: TaskTemplate, settings: ExecutionSettings, memoryFactor: number): Resources {
  if (target?.$case === 'k8sPod') return resourcesOfPod(target.value.podSpec);
  if (target?.$case !== 'container') return { requests: [], limits: [] };
  const { taskResourceDefaults, taskResourceLimits } = settings;
  return effectiveResources(target.value.resources, taskResourceDefaults, taskResourceLimits, memoryFactor);
}
