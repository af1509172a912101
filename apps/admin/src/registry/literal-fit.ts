import { invalidArgument } from '@aloft/errors';
import { explainMismatch, formatType, literalTypeOf } from '@aloft/literals';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';

/** INVALID_ARGUMENT unless the value may be given where `type` is expected (C-111). */
export function requireFit(literal: Literal, type: LiteralType | undefined, where: string): void {
  const actual = literalTypeOf(literal);
  if (!actual) throw invalidArgument(`${where}: holds no value; it must be ${formatType(type)}`);
  const mismatch = explainMismatch(actual, type);
  if (mismatch !== undefined)
    throw invalidArgument(`${where}: ${formatType(actual)} was given, ${formatType(type)} is expected: ${mismatch}`);
}
