import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { ArrayNode_DataMode, type ArrayNode } from '@aloft/idl/flyteidl/core/workflow';
import type { LiteralSource } from '../api.js';
import type { ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import { inlined, inlineValue, storedUri } from './values.js';

/** How many items an array has, or why that can't be said (C-140). */
export type ArraySize = { size: number; lists: string[] } | { problem: string };

export function arrayNodeOf(work: NodeWork): ArrayNode {
  const target = work.scope.template.spec(work.node).target;
  if (target?.$case !== 'arrayNode') throw new Error(`engine: node ${work.id} is no array`);
  return target.value;
}

/** Lengths of the variables that are lists. */
export function lengthsOf(literals: Record<string, Literal>): Record<string, number> {
  const lengths: Record<string, number> = {};
  for (const name in literals) {
    const value = literals[name]!.value;
    if (value?.$case === 'collection') lengths[name] = value.value.literals.length;
  }
  return lengths;
}

export function sizeOfArray(lengths: Record<string, number>, bound: readonly string[]): ArraySize {
  const lists = Object.keys(lengths).filter((name) => !bound.includes(name));
  const [first] = lists;
  if (first === undefined) {
    // Only bound inputs: one item.
    return bound.length > 0 ? { size: 1, lists } : { problem: 'none of its inputs is a list' };
  }
  const size = lengths[first]!;
  const other = lists.find((name) => lengths[name] !== size);
  if (other === undefined) return { size, lists };
  return { problem: `its lists differ in length: "${first}" has ${size} elements, "${other}" ${lengths[other]}` };
}

/** Successes that an array needs (C-141). */
export function neededOf({ successCriteria }: ArrayNode, size: number): number {
  if (successCriteria?.$case === 'minSuccesses') return Math.min(successCriteria.value, size);
  if (successCriteria?.$case !== 'minSuccessRatio') return size;
  // The ratio is a 32-bit float: 0.7 of ten items must be seven, not eight.
  return Math.min(size, Math.ceil(Number((successCriteria.value * size).toFixed(4))));
}

export function readsOwnInputs(node: ArrayNode): boolean {
  return node.dataMode === ArrayNode_DataMode.INDIVIDUAL_INPUT_FILES;
}

/** One item's own inputs; undefined while they must be written first (see {@link itemSources}). */
export function itemInputs(work: NodeWork, items: ArrayItems, index: number): LiteralsValue | undefined {
  const literals = inlined(work.inputs);
  if (!literals) return items.inputs.get(index);
  const own: Record<string, Literal> = {};
  for (const name in literals) {
    const value = literals[name]!.value;
    const element =
      items.lists.includes(name) && value?.$case === 'collection' ? value.value.literals[index] : undefined;
    own[name] = element ?? literals[name]!;
  }
  return inlineValue(own);
}

/** Where one item's inputs come from when the node's are stored. */
export function itemSources(work: NodeWork, items: ArrayItems, index: number): Record<string, LiteralSource> {
  const uri = storedUri(work.inputs) ?? '';
  const sources: Record<string, LiteralSource> = {};
  for (const { var: variable } of work.scope.template.spec(work.node).inputs) {
    const path = items.lists.includes(variable) ? [index] : [];
    sources[variable] = { uri, variable, path, type: undefined };
  }
  return sources;
}
