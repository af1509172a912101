import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';

/** Follows keys and indexes into a literal (C-103). @throws Error naming what was missing. */
export function resolvePath(literal: Literal, path: (string | number)[], _type: LiteralType | undefined): Literal {
  let at = literal;
  for (const step of path) {
    const value = at.value;
    const next =
      value?.$case === 'map'
        ? value.value.literals[String(step)]
        : value?.$case === 'collection'
          ? value.value.literals[Number(step)]
          : undefined;
    if (!next) throw new Error(`there is no ${JSON.stringify(step)} in it`);
    at = next;
  }
  return at;
}
