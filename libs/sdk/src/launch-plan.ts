import { DefinitionError } from './errors.js';
import {
  entityBrand,
  type EntityReference,
  type LaunchPlan,
  type LaunchPlanDefinition,
  type LaunchPlanSettings,
  type Workflow,
} from './entities.js';
import { requireBuilder } from './graph/builder.js';
import type { NodeOptions } from './graph/node.js';
import { declare, titleOf } from './registry.js';
import type { AnyType, DataType, Fields, ValueOf, WireOf } from './types/data-type.js';

/** Values for inputs that the workflow has, of their types. */
type Chosen<I extends Fields, D> = { readonly [K in keyof D]: K extends keyof I ? ValueOf<I[K]> : never };

export interface LaunchPlanOptions<I extends Fields, D, X> extends LaunchPlanSettings {
  /** Default: `<file>.<export>`. */
  name?: string;
  /** Values for whoever starts it without giving them. */
  defaults?: D & Chosen<I, D>;
  /** Values that nobody may change. */
  fixed?: X & Chosen<I, X>;
}

/** Inputs of a launch plan: the workflow's without the fixed ones, with the defaults' ones optional. */
export type PlanInputs<I extends Fields, D, X> = {
  readonly [K in Exclude<keyof I, keyof X>]: K extends keyof D ? DataType<ValueOf<I[K]>, WireOf<I[K]>, true> : I[K];
};

// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- nothing fixed, no defaults
type None = {};

/** A way to start a workflow: defaults, fixed inputs, a schedule, notifications. Inside a workflow it is a child execution. */
export function launchPlan<I extends Fields, O extends Fields, const D = None, const X = None>(
  workflow: Workflow<I, O>,
  options: LaunchPlanOptions<I, D, X> = {},
): LaunchPlan<PlanInputs<I, D, X>, O> {
  const { defaults = {}, fixed = {}, ...settings } = options;
  const source = workflow[entityBrand].inputs as Fields;
  const where = `Launch plan ${options.name ?? `of ${titleOf(workflow as unknown as Workflow)}`}`;
  for (const [kind, values] of Object.entries({ defaults, fixed }))
    for (const [name, value] of Object.entries(values)) {
      if (!source[name])
        throw new DefinitionError(
          `${where}: ${kind} names '${name}', but the workflow's inputs are ${Object.keys(source).join(', ') || 'none'}.`,
        );
      source[name].spec.check(value, `${where}: ${kind}.${name}`);
    }
  const kickoff = options.schedule?.kickoffTimeInput;
  if (kickoff && source[kickoff]?.label !== 'datetime')
    throw new DefinitionError(
      `${where}: schedule.kickoffTimeInput must name an input of type datetime, but is '${kickoff}'.`,
    );
  const inputs = Object.fromEntries(
    Object.entries(source)
      .filter(([name]) => !(name in fixed))
      .map(([name, type]): [string, AnyType] => [
        name,
        name in defaults ? type.default((defaults as Record<string, unknown>)[name]) : type,
      ]),
  );
  return makePlan({
    ...settings,
    kind: 'launch-plan',
    workflow: workflow as unknown as Workflow,
    inputs: inputs as PlanInputs<I, D, X>,
    outputs: workflow[entityBrand].outputs,
    defaults: defaults as Record<string, unknown>,
    fixed: fixed as Record<string, unknown>,
  });
}

/** A launch plan that is registered elsewhere, by its id and interface. */
export function launchPlanReference<I extends Fields, O extends Fields>(
  reference: EntityReference & { inputs: I; outputs: O },
): LaunchPlan<I, O> {
  const { inputs, outputs, ...id } = reference;
  return makePlan({ kind: 'launch-plan', inputs, outputs, defaults: {}, fixed: {}, reference: id });
}

function makePlan<I extends Fields, O extends Fields>(definition: LaunchPlanDefinition<I, O>): LaunchPlan<I, O> {
  const self = ((inputs: Record<string, unknown> = {}, options: NodeOptions = {}) => {
    const builder = requireBuilder(titleOf(self as unknown as LaunchPlan));
    const node = builder.add(
      { kind: 'launchPlan', launchPlan: self as unknown as LaunchPlan },
      builder.bindAll(definition.inputs, inputs, definition.name ?? 'launch plan'),
      definition.outputs,
      options,
    );
    return builder.handle(node);
  }) as unknown as LaunchPlan<I, O>;
  Object.defineProperty(self, entityBrand, { value: definition });
  return declare(self as unknown as LaunchPlan) as unknown as LaunchPlan<I, O>;
}
