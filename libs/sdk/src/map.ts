import { DefinitionError, TypeMismatchError } from './errors.js';
import { entityBrand, type Outputs, type Task } from './entities.js';
import { requireBuilder } from './graph/builder.js';
import type { NodeOptions } from './graph/node.js';
import type { Bindable, BindableFor, Promised } from './graph/promise.js';
import { titleOf } from './registry.js';
import { list, optional, type NoneWire } from './types/containers.js';
import type { AnyType, Fields, OptionalKeys, RequiredKeys, ValueOf, WireOf } from './types/data-type.js';

export interface MapOptions extends NodeOptions {
  /** Items in flight at once; 0 or absent: the platform's setting (C-71). */
  concurrency?: number;
}

/** Which share of the items must succeed; failed items are null in the outputs (C-141). */
export type SuccessGoal =
  { minSuccesses: number; minSuccessRatio?: undefined } | { minSuccessRatio: number; minSuccesses?: undefined };

type NoGoal = { minSuccesses?: undefined; minSuccessRatio?: undefined };

type EachOf<I extends Fields, K extends keyof I> = {
  readonly [N in K]: Bindable<ValueOf<I[N]>[], { list: WireOf<I[N]> }>;
};
type RestOf<I extends Fields, K> = { readonly [N in Exclude<RequiredKeys<I>, K>]: BindableFor<I[N]> } & {
  readonly [N in Exclude<OptionalKeys<I>, K>]?: BindableFor<I[N]>;
};
type SameParameter<I extends Fields, K> = [Exclude<RequiredKeys<I>, K>] extends [never]
  ? { same?: RestOf<I, K> }
  : { same: RestOf<I, K> };

export type ListOutputs<O extends Fields> = { readonly [K in keyof O]: Promised<{ list: WireOf<O[K]> }> };
export type PartialListOutputs<O extends Fields> = {
  readonly [K in keyof O]: Promised<{ list: WireOf<O[K]> | NoneWire }>;
};

/**
 * Runs a task once for each item: `each` gives lists of one length, item by item; `same` goes whole to every item. The
 * outputs are lists in the order of the items.
 *
 *     map(train, { each: { model: models }, same: { data }, concurrency: 2 })
 */
export function map<I extends Fields, O extends Fields, const K extends keyof I & string>(
  task: Task<I, O>,
  call: { each: EachOf<I, K> } & SameParameter<I, K> & MapOptions & NoGoal,
): ListOutputs<O>;
export function map<I extends Fields, O extends Fields, const K extends keyof I & string>(
  task: Task<I, O>,
  call: { each: EachOf<I, K> } & SameParameter<I, K> & MapOptions & SuccessGoal,
): PartialListOutputs<O>;
export function map(
  task: Task,
  call: { each: Record<string, unknown>; same?: Record<string, unknown> } & MapOptions & Partial<SuccessGoal>,
): Outputs<Fields> {
  const { each, same = {}, concurrency, minSuccesses, minSuccessRatio, ...options } = call;
  const builder = requireBuilder('map');
  const definition = task[entityBrand];
  const where = `${builder.title}: map of ${titleOf(task)}`;
  if (definition.dynamic || definition.reference)
    throw new DefinitionError(
      `${where}: only tasks defined here can be mapped, not dynamic tasks or references (C-143).`,
    );
  if (Object.keys(each).length === 0) throw new DefinitionError(`${where}: each must give at least one list.`);
  const both = Object.keys(each).find((name) => name in same);
  if (both) throw new TypeMismatchError(`${where}: input '${both}' is in each and in same; it must be in one of them.`);
  if (minSuccessRatio !== undefined && !(minSuccessRatio >= 0 && minSuccessRatio <= 1))
    throw new DefinitionError(`${where}: minSuccessRatio must be from 0 to 1, but it is ${minSuccessRatio}.`);
  for (const [name, value] of Object.entries({ concurrency, minSuccesses }))
    if (value !== undefined && (!Number.isInteger(value) || value < 0))
      throw new DefinitionError(`${where}: ${name} must be a whole number from 0, but it is ${value}.`);
  const partial = minSuccesses !== undefined || (minSuccessRatio !== undefined && minSuccessRatio < 1);
  const inputs = Object.fromEntries(
    Object.entries(definition.inputs).map(([name, type]): [string, AnyType] => [
      name,
      name in each ? list(type) : type,
    ]),
  );
  const outputs = Object.fromEntries(
    Object.entries(definition.outputs).map(([name, type]): [string, AnyType] => [
      name,
      list(partial ? optional(type) : type),
    ]),
  );
  const node = builder.add(
    {
      kind: 'map',
      task,
      bound: Object.keys(definition.inputs).filter((name) => !(name in each)),
      concurrency,
      minSuccesses,
      minSuccessRatio,
    },
    builder.bindAll(inputs, { ...same, ...each }, definition.name ?? 'task'),
    outputs,
    options,
  );
  return builder.handle(node) as Outputs<Fields>;
}
