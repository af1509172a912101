import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { LiteralType } from '@aloft/idl/flyteidl/core/types';
import type { LiteralSource } from '../api.js';
import { ItemState, type ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import { arrayNodeOf } from './array-inputs.js';
import { rawCollection, rawVariables } from './raw-literals.js';
import { taskIfAny } from './task-settings.js';
import { none } from './values.js';

const noneBytes = Literal.encode(none).finish();

/** An array's outputs: of every variable, the list of the items' values in their order, None for failed ones (C-141). */
export function collectOutputs(work: NodeWork, items: ArrayItems): Record<string, LiteralSource> {
  const lists = new Map<string, (Uint8Array | LiteralSource)[]>();
  const stored = new Set<string>();
  const listOf = (name: string): (Uint8Array | LiteralSource)[] => {
    let list = lists.get(name);
    if (!list) lists.set(name, (list = new Array<Uint8Array | LiteralSource>(items.size).fill(noneBytes)));
    return list;
  };
  const declared = declaredOutputs(work);
  for (const name of declared) listOf(name);
  const refer = (index: number, uri: string, path: number[]): void => {
    for (const name of declared) {
      stored.add(name);
      listOf(name)[index] = { uri, variable: name, path, type: undefined };
    }
  };
  for (let index = 0; index < items.size; index++) {
    const bytes = items.outputs.get(index);
    if (!bytes) {
      const taken = items.takenFrom !== '' && items.states.get(index) === ItemState.Succeeded;
      if (taken) refer(index, items.takenFrom, [index]);
      continue;
    }
    const variables = rawVariables(bytes);
    if (variables instanceof Map) {
      for (const [name, literal] of variables) listOf(name)[index] = literal;
    } else {
      refer(index, variables.uri, []);
    }
  }
  const sources: Record<string, LiteralSource> = {};
  for (const [name, list] of lists) {
    sources[name] = stored.has(name)
      ? { collection: list.map((each) => (each instanceof Uint8Array ? { encoded: each } : each)) }
      : { encoded: rawCollection(list as Uint8Array[]) };
  }
  return sources;
}

/** Types of the array's outputs, as far as its closure says. */
export function listTypes(work: NodeWork): Record<string, LiteralType> {
  const types: Record<string, LiteralType> = {};
  const isOfItem = arrayNodeOf(work).isOriginalSubNodeInterface === true;
  for (const [name, variable] of Object.entries(declaredVariables(work))) {
    if (!variable.type) continue;
    types[name] = isOfItem
      ? LiteralType.create({ type: { $case: 'collectionType', value: variable.type } })
      : variable.type;
  }
  return types;
}

function declaredOutputs(work: NodeWork): string[] {
  return Object.keys(declaredVariables(work));
}

/** Outputs of what the array maps over. */
function declaredVariables(work: NodeWork): Record<string, { type: LiteralType | undefined }> {
  const { template, graph } = work.scope;
  const task = taskIfAny(work.scope, work.node);
  if (task) return task.interface?.outputs?.variables ?? {};
  const item = template.spec(work.node).target;
  const target = item?.$case === 'arrayNode' ? item.value.node?.target : undefined;
  const reference = target?.$case === 'workflowNode' ? target.value.reference?.value : undefined;
  const plan = graph.closure.launchPlans.find(
    ({ template: each }) => each?.id?.name === reference?.name && each?.id?.version === reference?.version,
  );
  return plan?.template?.interface?.outputs?.variables ?? {};
}
