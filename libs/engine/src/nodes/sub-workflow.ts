import { NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { nodeEvent } from '../events/node-events.js';
import { failsAfterExecutable } from '../graph/compile-graph.js';
import { enter } from '../lifecycle/active.js';
import { limitAttempt } from '../lifecycle/retry.js';
import { openScope } from '../lifecycle/scopes.js';
import { NodeState } from '../state/node-state.js';
import type { NodeKind } from './kind.js';

/** A sub-workflow runs inline: its nodes are children of this one, in a scope of their own (C-12). */
export const subWorkflowNode: NodeKind = {
  start(run, work) {
    const { graph, template: parent, dynamic } = work.scope;
    const template = graph.templates[parent.targets[work.node]!]!;
    enter(run, work, NodeState.ScopeRunning);
    limitAttempt(run, work);
    if (!work.announced) nodeEvent(run, work.scope, work.node, work, NodeExecution_Phase.RUNNING);
    work.announced = true;
    openScope(run, work, { graph, template, inputs: work.inputs, policy: failsAfterExecutable(template), dynamic });
  },
};
