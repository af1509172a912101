import type { Variable } from '@aloft/idl/flyteidl/core/interface';
import type { Binding, BindingData } from '@aloft/idl/flyteidl/core/literals';
import { SimpleType, type LiteralType, type OutputReference } from '@aloft/idl/flyteidl/core/types';
import {
  explainMismatch,
  formatType,
  isNoneType,
  isOptionalType,
  scalarTypeOf,
  simpleOf,
  typeOf,
} from '@aloft/literals';
import { ErrorCollector, type CompileErrorCode } from './compile-error.js';
import { variableOf } from './node-interface.js';

export const startNodeId = 'start-node';
export const endNodeId = 'end-node';

/** Outputs of a node as others may refer to them; 'unknown' when its own errors keep them from being known. */
export type OutputsOf = (nodeId: string) => Record<string, Variable> | 'unknown' | undefined;

interface Site {
  nodeId: string;
  /** The input that is bound. */
  input: string;
  outputsOf: OutputsOf;
  errors: ErrorCollector;
}

/** A type that couldn't be worked out, because of an error reported elsewhere or a value without a schema. */
const unknown = 'unknown';
type Resolved = LiteralType | typeof unknown;

/**
 * Checks what is bound to a node's inputs. With `params` 'any', whatever is bound becomes an input (branches and approvals have
 * no interface of their own).
 *
 * @returns the types of what is bound
 */
export function checkBindings(
  nodeId: string,
  bindings: readonly Binding[],
  params: Record<string, Variable> | 'any',
  outputsOf: OutputsOf,
  errors: ErrorCollector,
): Record<string, Variable> {
  const bound = new Set<string>();
  const resolved: Record<string, Variable> = {};
  for (const { var: input, binding } of bindings) {
    const param = params === 'any' ? undefined : Object.hasOwn(params, input) ? params[input] : undefined;
    if (params !== 'any' && param === undefined) {
      errors.add('VariableNameNotFound', nodeId, `there is no input '${input}' (inputs: ${listed(params)})`);
    } else if (bound.has(input)) {
      errors.add('ParameterBoundMoreThanOnce', nodeId, `input '${input}' is bound more than once`);
    } else if (binding === undefined) {
      errors.add('ValueRequired', nodeId, `the binding of input '${input}' is empty`);
    } else {
      const type = checkBinding({ nodeId, input, outputsOf, errors }, binding, param?.type ?? 'any');
      resolved[input] = variableOf(type === unknown ? undefined : type);
    }
    bound.add(input);
  }
  if (params !== 'any')
    for (const [name, variable] of Object.entries(params))
      if (!bound.has(name) && !isOptionalType(variable.type))
        errors.add('ParameterNotBound', nodeId, `input '${name}' (${formatType(variable.type)}) is not bound`);
  return resolved;
}

function checkBinding(site: Site, binding: BindingData, expected: LiteralType | 'any'): Resolved {
  const value = binding.value;
  if (
    expected !== 'any' &&
    expected.type?.$case === 'unionType' &&
    (value?.$case === 'collection' || value?.$case === 'map')
  )
    return checkAgainstVariants(site, binding, expected, expected.type.value.variants);
  switch (value?.$case) {
    case 'scalar': {
      const type = scalarTypeOf(value.value);
      if (type === undefined)
        return report(site, 'UnrecognizedValue', `what is bound to input '${site.input}' has no value`);
      checkCast(site, type, expected, 'the constant');
      const primitive = value.value.value?.$case === 'primitive' ? value.value.value.value.value : undefined;
      if (expected !== 'any' && expected.type?.$case === 'enumType' && primitive?.$case === 'stringValue') {
        const { values } = expected.type.value;
        if (!values.includes(primitive.value))
          report(
            site,
            'IllegalEnumValue',
            `input '${site.input}' is bound to '${primitive.value}', which is none of ${values.map((item) => `'${item}'`).join(', ')}`,
          );
      }
      return type;
    }
    case 'promise':
      return checkPromise(site, value.value, expected);
    case 'collection': {
      const element = elementOf(site, expected, 'collectionType', 'a list');
      if (element === unknown) return unknown;
      const types = value.value.bindings.map((item) => checkBinding(site, item, element));
      const last = types.at(-1) ?? typeOf.none();
      return last === unknown ? unknown : typeOf.collection(last);
    }
    case 'map': {
      const element = elementOf(site, expected, 'mapValueType', 'a map');
      if (element === unknown) return unknown;
      const types = Object.values(value.value.bindings).map((item) => checkBinding(site, item, element));
      const last = types.at(-1) ?? typeOf.none();
      return last === unknown ? unknown : typeOf.map(last);
    }
    case 'offloadedMetadata': {
      const type = value.value.inferredType;
      if (type === undefined)
        return report(site, 'InvalidLiteralType', `the offloaded value of input '${site.input}' has no type noted`);
      checkCast(site, type, expected, 'the offloaded value');
      return type;
    }
    case undefined:
      return report(site, 'ParameterNotBound', `input '${site.input}' has an empty binding`);
  }
}

/** Lists and maps of bindings have to fit one variant of a union, no more. */
function checkAgainstVariants(
  site: Site,
  binding: BindingData,
  expected: LiteralType,
  variants: readonly LiteralType[],
): Resolved {
  const fitting = variants.flatMap((variant) => {
    const errors = new ErrorCollector();
    const type = checkBinding({ ...site, errors }, binding, variant);
    return errors.reported === 0 ? [{ variant, type }] : [];
  });
  if (fitting.length === 1) return fitting[0]!.type;
  const kind = binding.value?.$case === 'map' ? 'a map' : 'a list';
  if (fitting.length === 0)
    return report(
      site,
      'IncompatibleBindingUnionValue',
      `input '${site.input}' is bound to ${kind} that fits no variant of ${formatType(expected)}`,
    );
  return report(
    site,
    'AmbiguousBindingUnionValue',
    `input '${site.input}' is bound to ${kind} that fits several variants of ${formatType(expected)}: ${fitting.map(({ variant }) => formatType(variant)).join(' and ')}`,
  );
}

function elementOf(
  site: Site,
  expected: LiteralType | 'any',
  wanted: 'collectionType' | 'mapValueType',
  kind: string,
): LiteralType | 'any' | typeof unknown {
  if (expected === 'any') return 'any';
  if (expected.type?.$case === wanted) return expected.type.value;
  return report(
    site,
    'MismatchingBindings',
    `input '${site.input}' is bound to ${kind}, but ${formatType(expected)} is expected`,
  );
}

const variableName = /^(?:\[(\d+)\]\.)?(\w+)$/;

function checkPromise(site: Site, promise: OutputReference, expected: LiteralType | 'any'): Resolved {
  const provider = promise.nodeId === '' ? startNodeId : promise.nodeId;
  const outputs = site.outputsOf(provider);
  if (outputs === undefined)
    return report(
      site,
      'NodeReferenceNotFound',
      `input '${site.input}' refers to node '${provider}', which doesn't exist`,
    );
  if (outputs === unknown) return unknown;
  const match = variableName.exec(promise.var);
  if (match === null)
    return report(
      site,
      'SyntaxError',
      `input '${site.input}' refers to '${promise.var}', which is no name of a variable; write name or [index].name`,
    );
  const [, index, name] = match;
  const source = provider === startNodeId ? `the workflow's input '${name}'` : `'${name}' of node '${provider}'`;
  if (!Object.hasOwn(outputs, name!)) {
    const what = provider === startNodeId ? 'the workflow has no input' : `node '${provider}' has no output`;
    return report(
      site,
      'VariableNameNotFound',
      `input '${site.input}' refers to '${name}', but ${what} of that name (there are: ${listed(outputs)})`,
    );
  }
  let type: LiteralType | undefined = outputs[name!]!.type;
  if (type === undefined) return unknown;
  if (index !== undefined) {
    if (type.type?.$case !== 'collectionType')
      return report(site, 'MismatchingTypes', `${source} is ${formatType(type)}, which has no item ${index}`);
    type = type.type.value;
  }
  for (const { value: step } of promise.attrPath) {
    const next = stepInto(type, step?.value ?? '');
    if (next === unknown) return unknown;
    if ('problem' in next)
      return report(site, 'FieldNotFound', `input '${site.input}' refers to ${source}: ${next.problem}`);
    type = next.type;
  }
  checkCast(site, type, expected, source);
  return type;
}

type Step = { type: LiteralType } | { problem: string } | typeof unknown;

/**
 * The type of a part. Dataclasses say what fields they have; a struct that doesn't is checked when it runs.
 */
function stepInto(type: LiteralType, step: string | number): Step {
  const body = type.type;
  if (body?.$case === 'collectionType')
    return typeof step === 'number'
      ? { type: body.value }
      : { problem: `${formatType(type)} has items by index, not '${step}'` };
  if (body?.$case === 'mapValueType') return { type: body.value };
  const fields = type.structure?.dataclassType ?? {};
  const names = Object.keys(fields);
  if (names.length > 0)
    return Object.hasOwn(fields, step)
      ? { type: fields[step]! }
      : { problem: `there is no field '${step}' (fields: ${names.sort().join(', ')})` };
  if (body?.$case === 'unionType') {
    const variants = body.value.variants.filter((variant) => !isNoneType(variant));
    return variants.length === 1 ? stepInto(variants[0]!, step) : unknown;
  }
  const mayHaveParts = [SimpleType.STRUCT, SimpleType.BINARY].includes(simpleOf(type) ?? SimpleType.NONE);
  return mayHaveParts ? unknown : { problem: `${formatType(type)} has no field '${step}'` };
}

function checkCast(site: Site, type: LiteralType, expected: LiteralType | 'any', source: string): void {
  if (expected === 'any') return;
  const problem = explainMismatch(type, expected);
  if (problem !== undefined)
    report(
      site,
      'MismatchingTypes',
      `input '${site.input}' expects ${formatType(expected)}, but ${source} is ${formatType(type)}: ${problem}`,
    );
}

function report(site: Site, code: CompileErrorCode, message: string): typeof unknown {
  site.errors.add(code, site.nodeId, message);
  return unknown;
}

const listed = (variables: Record<string, unknown>): string => Object.keys(variables).sort().join(', ') || 'none';

/** Ids of the nodes that bindings refer to, at any depth; the start node for the workflow's inputs. */
export function providersOf(bindings: readonly Binding[]): Set<string> {
  const providers = new Set<string>();
  const pending = bindings.flatMap(({ binding }) => (binding === undefined ? [] : [binding]));
  for (let data = pending.pop(); data !== undefined; data = pending.pop()) {
    const value = data.value;
    if (value?.$case === 'promise') providers.add(value.value.nodeId === '' ? startNodeId : value.value.nodeId);
    else if (value?.$case === 'collection') pending.push(...value.value.bindings);
    else if (value?.$case === 'map') pending.push(...Object.values(value.value.bindings));
  }
  return providers;
}

/** Bindings with every promise naming its node: an empty node id means the start node. */
export function namedProviders(bindings: readonly Binding[]): Binding[] {
  return bindings.map((binding) =>
    binding.binding === undefined ? binding : { ...binding, binding: namedProvider(binding.binding) },
  );
}

function namedProvider(data: BindingData): BindingData {
  const value = data.value;
  switch (value?.$case) {
    case 'promise':
      if (value.value.nodeId !== '') return data;
      return { ...data, value: { $case: 'promise', value: { ...value.value, nodeId: startNodeId } } };
    case 'collection':
      return {
        ...data,
        value: { $case: 'collection', value: { ...value.value, bindings: value.value.bindings.map(namedProvider) } },
      };
    case 'map': {
      const entries = Object.entries(value.value.bindings).map(([key, item]) => [key, namedProvider(item)] as const);
      return { ...data, value: { $case: 'map', value: { ...value.value, bindings: Object.fromEntries(entries) } } };
    }
    default:
      return data;
  }
}
