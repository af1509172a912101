import type { Variable } from '@aloft/idl/flyteidl/core/interface';
import type { BooleanExpression, Operand } from '@aloft/idl/flyteidl/core/condition';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { castable, formatType, literalOf, literalTypeOf, scalarTypeOf } from '@aloft/literals';
import type { ErrorCollector } from './compile-error.js';

/** Checks a branch's condition: every operand is there and is known, and both sides are of one type (C-121). */
export function checkCondition(
  nodeId: string,
  expression: BooleanExpression | undefined,
  inputs: Record<string, Variable>,
  errors: ErrorCollector,
): void {
  if (expression === undefined) {
    errors.add('BranchNodeHasNoCondition', nodeId, 'a case of the branch has no condition');
    return;
  }
  const pending: (BooleanExpression | undefined)[] = [expression];
  while (pending.length > 0) {
    const next = pending.pop();
    if (next?.expr?.$case === 'conjunction') {
      pending.push(next.expr.value.rightExpression, next.expr.value.leftExpression);
    } else if (next?.expr?.$case === 'comparison') {
      const left = operandType(nodeId, 'left', next.expr.value.leftValue, inputs, errors);
      const right = operandType(nodeId, 'right', next.expr.value.rightValue, inputs, errors);
      if (left !== undefined && right !== undefined && !castable(left, right) && !castable(right, left))
        errors.add(
          'MismatchingTypes',
          nodeId,
          `a condition compares ${formatType(left)} with ${formatType(right)}; both sides have to be of one type`,
        );
    } else {
      errors.add('ValueRequired', nodeId, 'a condition has neither a comparison nor a conjunction');
    }
  }
}

function operandType(
  nodeId: string,
  side: string,
  operand: Operand | undefined,
  inputs: Record<string, Variable>,
  errors: ErrorCollector,
): LiteralType | undefined {
  const value = operand?.val;
  switch (value?.$case) {
    case 'primitive':
      return value.value.value && literalTypeOf(literalOf.primitive(value.value.value));
    case 'scalar':
      return scalarTypeOf(value.value);
    case 'var':
      if (value.value !== '') {
        if (Object.hasOwn(inputs, value.value)) return inputs[value.value]!.type;
        const names = Object.keys(inputs).sort().join(', ') || 'none';
        errors.add(
          'VariableNameNotFound',
          nodeId,
          `a condition uses '${value.value}', which isn't bound to the branch (bound: ${names})`,
        );
        return undefined;
      }
  }
  errors.add('ValueRequired', nodeId, `the ${side} side of a comparison is empty`);
  return undefined;
}
