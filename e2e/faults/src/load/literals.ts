import { Literal, type LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { PlannedRun } from './shapes.js';

type Value = PlannedRun['inputs'][string];

export function literalOf(value: Value): Literal {
  if (Array.isArray(value))
    return Literal.fromPartial({ value: { $case: 'collection', value: { literals: value.map(literalOf) } } });
  const primitive =
    typeof value === 'number'
      ? { $case: 'integer' as const, value: BigInt(value) }
      : typeof value === 'string'
        ? { $case: 'stringValue' as const, value }
        : { $case: 'floatValue' as const, value: value.float };
  return Literal.fromPartial({
    value: { $case: 'scalar', value: { value: { $case: 'primitive', value: { value: primitive } } } },
  });
}

/** Plain values of the primitives in a map of outputs. */
export function valuesOf(map: LiteralMap | undefined): Record<string, unknown> {
  const plain = (literal: Literal): unknown => {
    if (literal.value?.$case === 'collection') return literal.value.value.literals.map(plain);
    const scalar = literal.value?.$case === 'scalar' ? literal.value.value.value : undefined;
    const value = scalar?.$case === 'primitive' ? scalar.value.value?.value : undefined;
    return typeof value === 'bigint' ? Number(value) : value;
  };
  return Object.fromEntries(Object.entries(map?.literals ?? {}).map(([name, literal]) => [name, plain(literal)]));
}
