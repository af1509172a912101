import { interfaceInClosure, taskInClosure } from '@aloft/compiler';
import { invalidArgument } from '@aloft/errors';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { Resources_ResourceName, type Resources, type TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { Variable } from '@aloft/idl/flyteidl/core/interface';
import { TaskNodeOverrides } from '@aloft/idl/flyteidl/core/workflow';
import { acceptsNone, checkLiteral, explainMismatch, formatType } from '@aloft/literals';
import { maxInlineBytes } from '../executions/execution-inputs.js';
import { parseQuantity } from '../registry/quantities.js';
import type { NodePlace } from './node-places.js';

/** What a person gives a node, checked against what the node declares: INVALID_ARGUMENT names the field. */

/** All outputs that the node declares. */
export function checkedOutputs(place: NodePlace, outputs: LiteralMap | undefined): LiteralMap {
  const declared = interfaceInClosure(place.node, place.closure)?.outputs;
  if (!declared)
    throw invalidArgument(
      `id.node_id: ${place.nodeId} is a ${kindOf(place)}, whose outputs are others': ` +
        (kindOf(place) === 'branch' ? 'set those of the node that it chose' : 'answer its signal instead'),
    );
  const literals = outputs?.literals ?? {};
  checkAll('outputs', literals, declared);
  for (const [name, { type }] of Object.entries(declared)) {
    if (!literals[name] && !(type && acceptsNone(type)))
      throw invalidArgument(`outputs.${name}: missing; ${place.nodeId} gives ${formatType(type)}`);
  }
  return sized('outputs', { literals });
}

/** Inputs that replace what the node's bindings give; `task` is what will run there. */
export function checkedInputs(
  place: NodePlace,
  inputs: LiteralMap | undefined,
  task: TaskTemplate | undefined,
): LiteralMap | undefined {
  const literals = inputs?.literals ?? {};
  if (Object.keys(literals).length === 0) return undefined;
  const isArray = place.node.target?.$case === 'arrayNode';
  const declared =
    (isArray ? undefined : task?.interface?.inputs?.variables) ?? interfaceInClosure(place.node, place.closure)?.inputs;
  if (!declared || place.node.target?.$case === 'gateNode')
    throw invalidArgument(`inputs: ${place.nodeId} is a ${kindOf(place)}, whose inputs can't be changed`);
  checkAll('inputs', literals, declared);
  return sized('inputs', { literals });
}

/** Another task in the place of the node's: it must take what the node is given, and give what others read. */
export function checkedTask(place: NodePlace, task: TaskTemplate, inputs: LiteralMap | undefined): TaskTemplate {
  const before = taskOf(place, 'task');
  const given = new Set([...place.node.inputs.map((each) => each.var), ...Object.keys(inputs?.literals ?? {})]);
  const old = before.interface?.inputs?.variables ?? {};
  for (const [name, { type }] of Object.entries(task.interface?.inputs?.variables ?? {})) {
    if (!given.has(name) && !(type && acceptsNone(type)))
      throw invalidArgument(
        `task: it needs input '${name}' (${formatType(type)}), which the node isn't given; add it to inputs`,
      );
    if (inputs?.literals[name] || !old[name]) continue;
    const problem = explainMismatch(old[name].type, type);
    if (problem !== undefined) throw invalidArgument(`task: its input '${name}' is ${formatType(type)}: ${problem}`);
  }
  const outputs = task.interface?.outputs?.variables ?? {};
  for (const [name, { type }] of Object.entries(before.interface?.outputs?.variables ?? {})) {
    const now = outputs[name];
    if (!now)
      throw invalidArgument(`task: it has no output '${name}' (${formatType(type)}), which the workflow may read`);
    const problem = explainMismatch(now.type, type);
    if (problem !== undefined)
      throw invalidArgument(`task: its output '${name}' is ${formatType(now.type)}: ${problem}`);
  }
  return task;
}

/** Other resources; what they don't name stays as it was. */
export function checkedResources(
  place: NodePlace,
  resources: Resources | undefined,
  task: TaskTemplate | undefined,
): TaskNodeOverrides | undefined {
  if (!resources || (resources.requests.length === 0 && resources.limits.length === 0)) return undefined;
  const runs = task ?? taskOf(place, 'resources');
  // Of a pod, the primary container's: the backend applies them, within what the platform allows (C-180).
  if (runs.target?.$case !== 'container' && runs.target?.$case !== 'k8sPod')
    throw invalidArgument(
      `resources: ${place.nodeId} runs neither a container nor a pod; give another version of its task`,
    );
  for (const side of ['requests', 'limits'] as const) {
    for (const { name, value } of resources[side]) {
      if (Resources_ResourceName[name] === undefined || name === Resources_ResourceName.UNKNOWN)
        throw invalidArgument(`resources.${side}: ${name} is no resource; use CPU, GPU, MEMORY or EPHEMERAL_STORAGE`);
      const quantity = parseQuantity(value);
      if (quantity === undefined || quantity < 0n)
        throw invalidArgument(
          `resources.${side}.${Resources_ResourceName[name]}: ${JSON.stringify(value)} is no quantity, like 500m or 2Gi`,
        );
    }
  }
  return TaskNodeOverrides.fromPartial({ resources });
}

function taskOf(place: NodePlace, field: string): TaskTemplate {
  const task = taskInClosure(place.node, place.closure);
  if (!task) throw invalidArgument(`${field}: ${place.nodeId} is a ${kindOf(place)} and runs no task`);
  return task;
}

function checkAll(field: string, literals: LiteralMap['literals'], declared: Record<string, Variable>): void {
  for (const [name, literal] of Object.entries(literals)) {
    if (!Object.hasOwn(declared, name))
      throw invalidArgument(
        `${field}.${name}: unknown; there are ${Object.keys(declared).sort().join(', ') || `no ${field}`}`,
      );
    checkLiteral(`${field}.${name}`, literal, declared[name]!.type);
  }
}

function sized(field: string, map: LiteralMap): LiteralMap {
  const bytes = LiteralMap.encode(map).finish().length;
  if (bytes <= maxInlineBytes) return map;
  throw invalidArgument(
    `${field}: ${bytes} bytes; at most ${maxInlineBytes} may be given by hand: store large values, and give files by their URI`,
  );
}

function kindOf({ node }: NodePlace): string {
  const kind = node.target?.$case?.replace('Node', '') ?? 'node without a target';
  return kind === 'gate' ? 'gate' : kind;
}
