import type { NoInferable } from '../inference.js';
import type { AnyType } from '../types/data-type.js';
import { bigint, boolean, datetime, duration, float, int, string } from '../types/scalars.js';
import type { BooleanWire, DatetimeWire, DurationWire, FloatWire, IntWire, StringWire } from '../types/scalars.js';
import { DefinitionError, TypeMismatchError } from '../errors.js';
import { describe, promiseReference, type Promised, type PromiseReference } from './promise.js';

type Primitive<W> = W extends { enum: infer V }
  ? V
  : W extends IntWire
    ? number | bigint
    : W extends FloatWire
      ? number
      : W extends StringWire
        ? string
        : W extends BooleanWire
          ? boolean
          : W extends DatetimeWire
            ? Date
            : W extends DurationWire
              ? number
              : never;
type Comparable = IntWire | FloatWire | StringWire | BooleanWire | DatetimeWire | DurationWire;
type Ordered = Exclude<Comparable, BooleanWire>;

export type Comparison = 'EQ' | 'NEQ' | 'GT' | 'GTE' | 'LT' | 'LTE';
export type Operand = { readonly promise: PromiseReference } | { readonly value: unknown; readonly type: AnyType };

/** What a branch asks when the workflow runs. Both sides of `and` and `or` are always evaluated (C-121). */
export type Condition =
  | { readonly kind: 'comparison'; readonly operator: Comparison; readonly left: Operand; readonly right: Operand }
  | { readonly kind: 'and' | 'or'; readonly left: Condition; readonly right: Condition };

const primitives: Record<string, AnyType> = { int, float, string, boolean, datetime, duration };

function operand(value: unknown, other: PromiseReference): Operand {
  const reference = promiseReference(value);
  if (reference) return { promise: reference };
  const isEnum = other.type.literalType.type?.$case === 'enumType';
  const type = isEnum ? other.type : other.type.label === 'int' ? bigint : primitives[other.type.label];
  if (!type)
    throw new TypeMismatchError(
      `${describe(other)} is ${other.type.label}; conditions compare int, float, string, boolean, datetime and duration only.`,
    );
  return { value: type.spec.check(value, `what ${describe(other)} is compared with`), type };
}

function compare(operator: Comparison, left: unknown, right: unknown): Condition {
  const reference = promiseReference(left);
  if (!reference)
    throw new DefinitionError('The left side of a condition must be a promise: an input or a node’s output.');
  return { kind: 'comparison', operator, left: operand(left, reference), right: operand(right, reference) };
}

type Right<W> = Primitive<W> | Promised<NoInferable<W>>;

/** left = right. Datetimes and durations are compared by whole seconds (C-121). */
export const eq = <W extends Comparable>(left: Promised<W>, right: Right<W>): Condition => compare('EQ', left, right);
export const ne = <W extends Comparable>(left: Promised<W>, right: Right<W>): Condition => compare('NEQ', left, right);
export const gt = <W extends Ordered>(left: Promised<W>, right: Right<W>): Condition => compare('GT', left, right);
export const ge = <W extends Ordered>(left: Promised<W>, right: Right<W>): Condition => compare('GTE', left, right);
export const lt = <W extends Ordered>(left: Promised<W>, right: Right<W>): Condition => compare('LT', left, right);
export const le = <W extends Ordered>(left: Promised<W>, right: Right<W>): Condition => compare('LTE', left, right);
export const isTrue = (value: Promised<BooleanWire>): Condition => compare('EQ', value, true);
export const isFalse = (value: Promised<BooleanWire>): Condition => compare('EQ', value, false);

const joined =
  (kind: 'and' | 'or') =>
  (first: Condition, second: Condition, ...more: Condition[]): Condition =>
    more.reduce<Condition>((left, right) => ({ kind, left, right }), { kind, left: first, right: second });

export const and = joined('and');
export const or = joined('or');

/** Every promise that a condition reads. */
export function operandsOf(condition: Condition): PromiseReference[] {
  if (condition.kind !== 'comparison') return [...operandsOf(condition.left), ...operandsOf(condition.right)];
  return [condition.left, condition.right].flatMap((side) => ('promise' in side ? [side.promise] : []));
}

/** Name under which a branch node binds the value, as flytekit forms it: `n2.score`, `.threshold` for an input. */
export function operandName(promise: PromiseReference): string {
  return [promise.nodeId, promise.output, ...promise.path].join('.');
}
