import type { BindingData, Literal } from '@aloft/idl/flyteidl/core/literals';
import { SimpleType, type LiteralType } from '@aloft/idl/flyteidl/core/types';
import type { LiteralSource } from '../api.js';
import { Kind, START, type GraphTemplate } from '../graph/graph.js';
import type { Scope } from '../state/scope.js';
import { resolveAttributePath } from '@aloft/literals';
import { failureMessage } from './failures.js';
import { rerunOf, taskOf } from './task-settings.js';
import { acceptsNone, inlined, none, storedUri } from './values.js';

/** Something a binding names isn't there (C-104). */
export class BindingError extends Error {}

/** The output is there, but not what its attribute path leads to (C-103). */
export class AttributeError extends BindingError {}

/** What a node's variables are made of: literals at hand, or parts of stored maps. */
export type Sources = Record<string, LiteralSource>;

type Types = Record<string, { type: LiteralType | undefined }> | undefined;

/** Declared types of what the node's bindings produce; undefined where the closure doesn't say. */
export function typesOf(scope: Scope, node: number): Types {
  const { template, graph } = scope;
  switch (template.kinds[node]) {
    case Kind.Task:
      return taskOf(scope, node).interface?.inputs?.variables;
    case Kind.SubWorkflow:
      return graph.templates[template.targets[node]!]!.workflow.interface?.inputs?.variables;
    case Kind.End:
      return template.workflow.interface?.outputs?.variables;
    default:
      return undefined;
  }
}

/**
 * Resolves the node's bindings (C-102) against the outputs of its upstream nodes. Costs the size of the bindings.
 *
 * @throws BindingError if a promise names an output that doesn't exist.
 */
export function composeInputs(scope: Scope, node: number): Sources {
  const types = typesOf(scope, node);
  const sources: Sources = {};
  for (const binding of scope.template.spec(node).inputs) {
    try {
      sources[binding.var] = sourceOf(scope, node, binding.binding, types?.[binding.var]?.type);
    } catch (error) {
      if (!(error instanceof BindingError)) throw error;
      const Kind = error instanceof AttributeError ? AttributeError : BindingError;
      throw new Kind(`Error binding Var [${scope.template.ids[node]}].[${binding.var}]: ${error.message}`);
    }
  }
  const given = rerunOf(scope, node)?.inputs?.literals;
  for (const name in given) sources[name] = { literal: given[name]! };
  if (types) {
    for (const name in types) {
      if (!(name in sources) && acceptsNone(types[name]!.type)) sources[name] = { literal: none };
    }
  }
  if (node === scope.template.failureNode) bindError(scope, types, sources);
  return sources;
}

/** C-62, Q-16: the failure node learns what went wrong, and in which node really. */
function bindError(scope: Scope, types: Types, sources: Sources): void {
  const failure = scope.failures[0];
  if (!failure) return;
  for (const name in types) {
    const type = types[name]!.type;
    const variant = type?.type?.$case === 'unionType' ? type.type.value.variants.find(isErrorType) : undefined;
    if (!variant && !isErrorType(type)) continue;
    const error = literal({
      $case: 'scalar',
      value: { value: { $case: 'error', value: { failedNodeId: failure.nodeId, message: failureMessage(scope) } } },
    });
    sources[name] = variant
      ? {
          literal: literal({
            $case: 'scalar',
            value: { value: { $case: 'union', value: { value: error, type: variant } } },
          }),
        }
      : { literal: error };
  }
}

function isErrorType(type: LiteralType | undefined): boolean {
  return type?.type?.$case === 'simple' && type.type.value === SimpleType.ERROR;
}

function sourceOf(
  scope: Scope,
  node: number,
  data: BindingData | undefined,
  type: LiteralType | undefined,
): LiteralSource {
  switch (data?.value?.$case) {
    case 'scalar':
      return { literal: literal({ $case: 'scalar', value: data.value.value }) };
    case 'offloadedMetadata':
      return { literal: literal({ $case: 'offloadedMetadata', value: data.value.value }) };
    case 'promise': {
      const { nodeId, var: variable, attrPath } = data.value.value;
      const path = attrPath.map((step) => step.value?.value ?? '');
      return promised(scope, node, nodeId, variable, path, type);
    }
    case 'collection': {
      const element = elementType(type, 'collectionType');
      const parts = data.value.value.bindings.map((each) => sourceOf(scope, node, each, element));
      const literals = parts.map((part) => ('literal' in part ? part.literal : undefined));
      if (literals.every((each) => each !== undefined)) {
        return { literal: literal({ $case: 'collection', value: { literals: literals as Literal[] } }) };
      }
      return { collection: parts };
    }
    case 'map': {
      const element = elementType(type, 'mapValueType');
      const parts: Record<string, LiteralSource> = {};
      const literals: Record<string, Literal> = {};
      let whole = true;
      for (const [key, each] of Object.entries(data.value.value.bindings)) {
        const part = sourceOf(scope, node, each, element);
        parts[key] = part;
        if ('literal' in part) literals[key] = part.literal;
        else whole = false;
      }
      return whole ? { literal: literal({ $case: 'map', value: { literals } }) } : { map: parts };
    }
    default:
      // A binding without a value: what flytekit writes for the failure node's `err`.
      return { literal: none };
  }
}

function promised(
  scope: Scope,
  node: number,
  nodeId: string,
  variable: string,
  path: (string | number)[],
  type: LiteralType | undefined,
): LiteralSource {
  const source = nodeId === '' ? START : sourceNamed(scope.template, node, nodeId);
  const outputs = source === undefined ? undefined : scope.outputs.get(source);
  const aliases = source === undefined ? undefined : scope.template.aliases.get(source);
  const name = aliases?.find((each) => each.alias === variable)?.var ?? variable;
  const uri = storedUri(outputs);
  if (uri !== undefined) return { uri, variable: name, path, type };
  const found = inlined(outputs)?.[name];
  if (!found) {
    if (acceptsNone(type)) return { literal: none };
    throw new BindingError(`node ${nodeId || 'start-node'} has no output "${variable}"`);
  }
  if (path.length === 0) return { literal: found };
  // C-105: what lies elsewhere is looked into by whoever writes the inputs.
  if (found.value?.$case === 'offloadedMetadata' && scope.readsOffloaded) {
    return { offloaded: found.value.value.uri, path, type };
  }
  try {
    return { literal: resolveAttributePath(found, path, type) };
  } catch (error) {
    throw new AttributeError(
      `output "${variable}" of node ${nodeId || 'start-node'}, path ${path.join('.')}: ${(error as Error).message}`,
    );
  }
}

/** Sources of a node that are looked through for an id; most have fewer, and finding one among all ids of a large workflow takes longer. */
const fewSources = 8;

function sourceNamed(
  { firstSource, sources, ids, indexOf }: GraphTemplate,
  node: number,
  id: string,
): number | undefined {
  const first = firstSource[node]!;
  const end = Math.min(firstSource[node + 1]!, first + fewSources);
  for (let at = first; at < end; at++) if (ids[sources[at]!] === id) return sources[at];
  return indexOf(id);
}

function elementType(type: LiteralType | undefined, kind: 'collectionType' | 'mapValueType'): LiteralType | undefined {
  if (type?.type?.$case === kind) return type.type.value;
  if (type?.type?.$case !== 'unionType') return undefined;
  // Of a union's variants, the only one of this shape, if there is one.
  const fitting = type.type.value.variants.filter((variant) => variant.type?.$case === kind);
  return fitting.length === 1 ? elementType(fitting[0], kind) : undefined;
}

function literal(value: Literal['value']): Literal {
  return { value, hash: '', metadata: {} };
}

/** Whether some part lies elsewhere as a value of its own (C-105). */
export function hasOffloaded(literals: Record<string, Literal>): boolean {
  return Object.values(literals).some(({ value }) => value?.$case === 'offloadedMetadata');
}

/** All literals at hand, or undefined if some part is stored elsewhere. */
export function literalsOf(sources: Sources): Record<string, Literal> | undefined {
  const literals: Record<string, Literal> = {};
  for (const name in sources) {
    const source = sources[name]!;
    if (!('literal' in source)) return undefined;
    literals[name] = source.literal;
  }
  return literals;
}

/** The node has read its upstream outputs, or never will: outputs that nobody else will read are forgotten. */
export function releaseSources(scope: Scope, node: number): void {
  const { firstSource, sources } = scope.template;
  for (let at = firstSource[node]!; at < firstSource[node + 1]!; at++) {
    if (--scope.readers[sources[at]!]! === 0) scope.outputs.delete(sources[at]!);
  }
}
