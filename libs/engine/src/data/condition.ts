import {
  ComparisonExpression_Operator,
  ConjunctionExpression_LogicalOperator,
  type BooleanExpression,
  type ComparisonExpression,
  type Operand,
} from '@aloft/idl/flyteidl/core/condition';
import type { Literal, Primitive } from '@aloft/idl/flyteidl/core/literals';
import { compareTimes } from '../time.js';

/** A condition that can't be evaluated: the branch fails with it (C-121). */
export class MalformedBranch extends Error {}

type Value = NonNullable<Primitive['value']>;
const Op = ComparisonExpression_Operator;

/** Both sides of a conjunction are always evaluated, so a malformed one is never hidden by the other (C-121). */
export function evaluate(expression: BooleanExpression, variables: Record<string, Literal>): boolean {
  switch (expression.expr?.$case) {
    case 'comparison':
      return compare(expression.expr.value, variables);
    case 'conjunction': {
      const { operator, leftExpression, rightExpression } = expression.expr.value;
      if (!leftExpression || !rightExpression) throw new MalformedBranch('a conjunction lacks one of its two sides');
      const left = evaluate(leftExpression, variables);
      const right = evaluate(rightExpression, variables);
      return operator === ConjunctionExpression_LogicalOperator.OR ? left || right : left && right;
    }
    default:
      throw new MalformedBranch('a condition is neither a comparison nor a conjunction');
  }
}

function compare(expression: ComparisonExpression, variables: Record<string, Literal>): boolean {
  const left = valueOf(expression.leftValue, variables);
  const right = valueOf(expression.rightValue, variables);
  const operator = expression.operator;
  if (left === null || right === null) {
    if (operator === Op.EQ) return left === right;
    if (operator === Op.NEQ) return left !== right;
    throw new MalformedBranch('None can only be compared for equality');
  }
  if (left.$case !== right.$case) {
    throw new MalformedBranch(`comparing values of different types: ${nameOf(left)} and ${nameOf(right)}`);
  }
  if (left.$case === 'boolean' && operator !== Op.EQ && operator !== Op.NEQ) {
    throw new MalformedBranch('booleans can only be compared for equality');
  }
  const order = orderOf(left, right);
  switch (operator) {
    case Op.EQ:
      return order === 0;
    case Op.NEQ:
      return order !== 0;
    case Op.GT:
      return order > 0;
    case Op.GTE:
      return order >= 0;
    case Op.LT:
      return order < 0;
    case Op.LTE:
      return order <= 0;
    default:
      throw new MalformedBranch(`unknown comparison operator ${operator}`);
  }
}

/** The primitive an operand stands for; null for None. */
function valueOf(operand: Operand | undefined, variables: Record<string, Literal>): Value | null {
  switch (operand?.val?.$case) {
    case 'primitive':
      return present(operand.val.value);
    case 'scalar':
      return ofLiteral({ value: { $case: 'scalar', value: operand.val.value }, hash: '', metadata: {} }, 'an operand');
    case 'var': {
      const literal = variables[operand.val.value];
      if (!literal) throw new MalformedBranch(`there is no value for variable "${operand.val.value}"`);
      return ofLiteral(literal, `variable "${operand.val.value}"`);
    }
    default:
      throw new MalformedBranch('an operand is neither a value nor a variable');
  }
}

function ofLiteral(literal: Literal, where: string): Value | null {
  const scalar = literal.value?.$case === 'scalar' ? literal.value.value.value : undefined;
  if (scalar?.$case === 'primitive') return present(scalar.value);
  if (scalar?.$case === 'noneType') return null;
  if (scalar?.$case === 'union' && scalar.value.value) return ofLiteral(scalar.value.value, where);
  throw new MalformedBranch(`${where} isn't a primitive value`);
}

function present(primitive: Primitive): Value {
  if (!primitive.value) throw new MalformedBranch('an operand is an empty primitive');
  return primitive.value;
}

function nameOf(value: Value): string {
  return {
    integer: 'INTEGER',
    floatValue: 'FLOAT',
    stringValue: 'STRING',
    boolean: 'BOOLEAN',
    datetime: 'DATETIME',
    duration: 'DURATION',
  }[value.$case];
}

/** Negative, 0 or positive; NaN where there is no order. Datetimes and durations to the nanosecond. */
function orderOf(left: Value, right: Value): number {
  if (
    (left.$case === 'datetime' || left.$case === 'duration') &&
    (right.$case === 'datetime' || right.$case === 'duration')
  ) {
    return compareTimes(left.value, right.value);
  }
  const a = left.value as bigint | number | string | boolean;
  const b = right.value as bigint | number | string | boolean;
  if (a === b) return 0;
  return a < b ? -1 : a > b ? 1 : NaN;
}
