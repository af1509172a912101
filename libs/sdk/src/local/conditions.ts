import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { TypeMismatchError } from '../errors.js';
import type { Condition, Operand } from '../graph/conditions.js';
import type { PromiseReference } from '../graph/promise.js';
import { primitiveOf } from '../types/scalars.js';
import { noTransfer } from '../types/file-transfer.js';

type Resolve = (promise: PromiseReference) => Promise<Literal>;

/** Answers a branch's condition as the engine does: both sides of and/or, times by whole seconds (C-121). */
export async function evaluate(condition: Condition, resolve: Resolve): Promise<boolean> {
  if (condition.kind !== 'comparison') {
    const left = await evaluate(condition.left, resolve);
    const right = await evaluate(condition.right, resolve);
    return condition.kind === 'and' ? left && right : left || right;
  }
  const left = await valueOf(condition.left, resolve);
  const right = await valueOf(condition.right, resolve);
  if (left.kind !== right.kind)
    throw new TypeMismatchError(`MalformedBranch: a condition compares ${left.kind} with ${right.kind}.`);
  switch (condition.operator) {
    case 'EQ':
      return left.value === right.value;
    case 'NEQ':
      return left.value !== right.value;
    case 'GT':
      return left.value > right.value;
    case 'GTE':
      return left.value >= right.value;
    case 'LT':
      return left.value < right.value;
    case 'LTE':
      return left.value <= right.value;
  }
}

async function valueOf(
  operand: Operand,
  resolve: Resolve,
): Promise<{ kind: string; value: string | number | bigint | boolean }> {
  const literal =
    'promise' in operand
      ? await resolve(operand.promise)
      : await operand.type.toLiteral(operand.value, noTransfer, 'a condition');
  const primitive = primitiveOf(literal);
  if (!primitive) throw new TypeMismatchError('MalformedBranch: a condition reads a value that is no primitive.');
  return {
    kind: primitive.$case,
    value: primitive.$case === 'datetime' || primitive.$case === 'duration' ? primitive.value.seconds : primitive.value,
  };
}
