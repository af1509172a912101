import { DefinitionError, TypeMismatchError } from '../errors.js';
import type { AnyType, GivenValue, ValueOf, WireOf } from '../types/data-type.js';

declare const wire: unique symbol;
const referenceOf = Symbol.for('aloft.sdk.promise');

/** Where a promised value comes from: an output of a node, or an input of the workflow (node id ''). */
export interface PromiseReference {
  readonly nodeId: string;
  readonly output: string;
  readonly path: readonly (string | number)[];
  readonly type: AnyType;
  /** The workflow body that it belongs to. */
  readonly scope: object;
}

interface PromiseBase<out W> {
  readonly [wire]: W;
}

/**
 * A value that will exist when the workflow runs, with the wire type `W`. The fields of a struct are promises of their
 * own; parts of lists and maps are taken with `at`.
 */
export type Promised<W> = PromiseBase<W> &
  (W extends { struct: infer F } ? { readonly [K in keyof F]: Promised<F[K]> } : unknown);

/** What may be given for an input of value type V and wire type W: a value, a promise, or a list or map with promises in it. */
export type Bindable<V, W> =
  | V
  | Promised<W>
  | (W extends { list: infer E } ? (V extends readonly (infer EV)[] ? readonly Bindable<EV, E>[] : never) : never)
  | (W extends { map: infer E }
      ? V extends Readonly<Record<string, infer EV>>
        ? Readonly<Record<string, Bindable<EV, E>>>
        : never
      : never);

export type BindableFor<T extends AnyType> = Bindable<GivenValue<ValueOf<T>>, WireOf<T>>;

export function makePromise<W>(reference: PromiseReference): Promised<W> {
  const target = { [referenceOf]: reference };
  return new Proxy(target, {
    get(_target, key) {
      if (key === referenceOf) return reference;
      // `await promise` in a workflow body would otherwise look like a field called "then".
      if (typeof key === 'symbol') return undefined;
      return part(reference, key);
    },
    has: (_target, key) => key === referenceOf,
    ownKeys: () => [],
    set() {
      throw new DefinitionError(`${describe(reference)} is a promise: its fields cannot be set in a workflow.`);
    },
  }) as unknown as Promised<W>;
}

function part(reference: PromiseReference, key: string | number): unknown {
  const type = reference.type.spec.partAt?.(key);
  if (!type) {
    if (key === 'then') return undefined;
    throw new TypeMismatchError(
      `${describe(reference)} is ${reference.type.label}: it has no ${typeof key === 'number' ? 'item' : 'field'} '${key}'. ` +
        'Inside a workflow the value does not exist yet; compute with it in a task.',
    );
  }
  return makePromise({ ...reference, path: [...reference.path, key], type });
}

/** The item of a promised list, or the entry of a promised map. */
export function at<E>(promise: Promised<{ list: E }>, index: number): Promised<E>;
export function at<E>(promise: Promised<{ map: E }>, key: string): Promised<E>;
export function at(promise: unknown, key: string | number): unknown {
  const reference = promiseReference(promise);
  if (!reference) throw new DefinitionError('at(promise, key) takes a promised list or map.');
  return part(reference, key);
}

export function promiseReference(value: unknown): PromiseReference | undefined {
  return typeof value === 'object' && value !== null && referenceOf in value
    ? (value as { [referenceOf]: PromiseReference })[referenceOf]
    : undefined;
}

export function describe(reference: PromiseReference): string {
  const name =
    reference.nodeId === '' ? `input '${reference.output}'` : `output '${reference.output}' of ${reference.nodeId}`;
  return reference.path.length > 0 ? `${name} at ${reference.path.join('.')}` : name;
}
