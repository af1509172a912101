import type { StartExecution } from '@aloft/idl/aloft/v1/bus';
import { WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { adoptBehaviours } from '../behaviours.js';
import { workflowEvent } from '../events/workflow-events.js';
import { failsAfterExecutable } from '../graph/compile-graph.js';
import type { CompiledGraph } from '../graph/graph.js';
import { limitRun } from '../lifecycle/run-limit.js';
import { tellRevisions } from '../events/revision-events.js';
import { openScope } from '../lifecycle/scopes.js';
import { hexOf } from '../graph/identifiers.js';
import type { RunState } from '../state/run-state.js';

/** The run's first entry. */
export function started(run: RunState, start: StartExecution, behaviours: bigint): boolean {
  if (run.start) return false;
  if (!start.id) throw new Error('engine: a start command without an execution id');
  const graph = run.graphLookup(hexOf(start.closureDigest)) as CompiledGraph;
  adoptBehaviours(run, behaviours);
  run.start = start;
  run.id = start.id;
  workflowEvent(run, WorkflowExecution_Phase.RUNNING);
  limitRun(run);
  tellRevisions(run, start.revisions);
  const template = graph.templates[0]!;
  const policy = failsAfterExecutable(template);
  openScope(run, undefined, { graph, template, inputs: start.inputs, policy, dynamic: false });
  return true;
}
