import type { ControlNode } from '@aloft/idl/aloft/v1/bus';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { explainLiteralMismatch, formatType } from '@aloft/literals';
import { Behaviour, behaves } from '../behaviours.js';
import { typesOf } from '../data/compose.js';
import { taskIfAny, taskOf, templateOf } from '../data/task-settings.js';
import { acceptsNone } from '../data/values.js';
import { END, Kind, START } from '../graph/graph.js';
import { forEachPromise } from '../graph/template-builder.js';
import type { Place } from '../lifecycle/locate.js';
import { Because } from '../state/ending.js';
import { isOver, isSatisfied, nameOf, NodeState } from '../state/node-state.js';
import type { RunState } from '../state/run-state.js';
import { ScopeStatus, type Scope } from '../state/scope.js';

const S = NodeState;
/** States in which an attempt of the node is under way, or due. */
const attempted: ReadonlySet<number> = new Set([
  ...[
    S.Launched,
    S.Running,
    S.ResolvingGraph,
    S.ScopeRunning,
    S.ChildStarting,
    S.ChildRunning,
    S.ArrayRunning,
    S.BackingOff,
  ],
]);

type Types = Record<string, { type: LiteralType | undefined }>;

/** Why the node can't take the control as it is, and what would; undefined if it can. */
export function refusalOf(run: RunState, place: Place, command: ControlNode): string | undefined {
  const general = ofAny(place, command.control);
  if (general !== undefined) return general;
  const { control } = command;
  switch (control?.$case) {
    case 'cancel':
      return ofCancel(place, control.value.skipDownstream);
    case 'retry':
      return ofRetry(place);
    case 'setOutputs':
      return ofSetOutputs(place, control.value.outputs?.literals ?? {});
    case 'rerun': {
      const { task, overrides, inputs } = control.value;
      if ((task || overrides) && !taskIfAny(place.scope, place.node)) {
        return 'it runs no task, so neither its task nor its resources can be changed';
      }
      if (overrides && ignoresOverrides(run, place, task)) {
        return 'its run began before the resources of pods could be changed: give another version of its task, or relaunch the run';
      }
      const types = task?.interface?.inputs?.variables ?? typesOf(place.scope, place.node);
      return types && mismatchOf('input', inputs?.literals ?? {}, types);
    }
    default:
      return 'the command says neither cancel, retry, set_outputs nor rerun';
  }
}

/** Whether the attempts would be told nothing of what is overridden: those of pod tasks in runs that began before they were. */
function ignoresOverrides(run: RunState, { scope, node }: Place, task: TaskTemplate | undefined): boolean {
  return (task ?? templateOf(scope, node)).target?.$case === 'k8sPod' && !behaves(run, Behaviour.OverridesPods);
}

function ofAny({ scope, node }: Place, control: ControlNode['control']): string | undefined {
  if (node <= END) return `the ${node === START ? 'start' : 'end'} of a workflow can't be changed; change a node`;
  const active = scope.active.has(node);
  if (node === scope.template.failureNode && !active) return 'the failure node only runs when its workflow fails';
  if (scope.status !== ScopeStatus.Running && !active) return 'its workflow has failed and is being brought to its end';
  const ending = scope.active.get(node)?.ending;
  // Whoever cancels means it, also where something else was asked for a moment ago.
  const isOverruled = control?.$case === 'cancel' && ending?.command && ending.command.control?.$case !== 'cancel';
  if (ending && ending.because >= Because.Control && !isOverruled)
    return 'it is being brought to its end: wait until nothing of it runs any more';
  const branch = scope.template.branchOf[node]!;
  if (branch < 0 || active) return undefined;
  const state = scope.states[node]!;
  const taken = scope.states[branch] === S.Chosen || isSatisfied(scope.states[branch]!) || state !== S.Waiting;
  if (taken && state !== S.Skipped) return undefined;
  return `it is a case of branch ${scope.uniqueId(branch)}, which has not chosen it; rerun the branch with other inputs`;
}

function ofCancel(place: Place, skipDownstream: boolean): string | undefined {
  const { scope, node } = place;
  const state = scope.states[node]!;
  if (isOver(state)) return `it is over already (${nameOf(state)})`;
  if (!skipDownstream) return undefined;
  if (node === scope.template.failureNode) return 'nothing hangs on the failure node that could be skipped';
  const output = outputLostWith(scope, node);
  return output === undefined
    ? undefined
    : `the workflow's output "${output}" would be missing, as nothing else gives it; cancel the node without ` +
        'skip_downstream, or set its outputs instead';
}

/** An output of the workflow that comes from what would be skipped with the node, and may not be None. */
function outputLostWith(scope: Scope, node: number): string | undefined {
  const { firstDown, down, branchOf, indexOf } = scope.template;
  const skipped = new Set([node]);
  for (const each of skipped) {
    for (let at = firstDown[each]!; at < firstDown[each + 1]!; at++) if (down[at] !== END) skipped.add(down[at]!);
    if (branchOf[each]! >= 0) skipped.add(branchOf[each]!);
  }
  const types = typesOf(scope, END);
  for (const binding of scope.template.spec(END).inputs) {
    let lost = false;
    forEachPromise([binding], (id) => (lost ||= skipped.has(indexOf(id) ?? -1)));
    if (lost && !acceptsNone(types?.[binding.var]?.type)) return binding.var;
  }
  return undefined;
}

function ofRetry({ scope, node }: Place): string | undefined {
  const state = scope.states[node]!;
  if (attempted.has(state) || state === S.Failed || state === S.TimedOut || state === S.Aborted) return undefined;
  if (isSatisfied(state)) return 'it succeeded; rerun it to compute it again';
  if (state === S.Waiting || state === S.Parked || state === S.Ahead) return 'it has not begun';
  if (state === S.Skipped) return 'it was skipped; retry the node for whose sake it was';
  if (state === S.Chosen) return 'it is a branch: retry the node that it chose';
  return `no attempt of it is under way (${nameOf(state)})`;
}

function ofSetOutputs({ scope, node }: Place, outputs: Record<string, Literal>): string | undefined {
  if (scope.template.kinds[node] === Kind.Branch) return 'it is a branch: set the outputs of the node that it chose';
  if (scope.template.branchOf[node]! >= 0 && isOver(scope.states[node]!)) {
    return 'it is a case of a branch, and over: rerun the branch, and set them while the case runs';
  }
  const types = outputTypesOf(scope, node);
  if (!types) return undefined;
  const problem = mismatchOf('output', outputs, types);
  if (problem !== undefined) return problem;
  const missing = Object.keys(types).find((name) => !outputs[name] && !acceptsNone(types[name]!.type));
  return missing === undefined ? undefined : `output "${missing}" (${formatType(types[missing]!.type)}) is missing`;
}

/** Declared types of what the node gives; undefined where the closure doesn't say. */
function outputTypesOf(scope: Scope, node: number): Types | undefined {
  const { template, graph } = scope;
  switch (template.kinds[node]) {
    case Kind.Task:
      return taskOf(scope, node).interface?.outputs?.variables ?? {};
    case Kind.SubWorkflow:
      return graph.templates[template.targets[node]!]!.workflow.interface?.outputs?.variables ?? {};
    case Kind.Gate: {
      const target = template.spec(node).target;
      const condition = target?.$case === 'gateNode' ? target.value.condition : undefined;
      if (condition?.$case === 'signal')
        return { [condition.value.outputVariableName]: { type: condition.value.type } };
      return condition?.$case === 'sleep' ? {} : undefined;
    }
    default:
      return undefined;
  }
}

function mismatchOf(what: string, literals: Record<string, Literal>, types: Types): string | undefined {
  for (const name in literals) {
    const type = types[name]?.type;
    if (!type) return `it has no ${what} "${name}"; it has ${Object.keys(types).sort().join(', ') || 'none'}`;
    const problem = explainLiteralMismatch(literals[name]!, type);
    if (problem !== undefined) return `${what} "${name}" must be ${formatType(type)}: ${problem}`;
  }
  return undefined;
}
