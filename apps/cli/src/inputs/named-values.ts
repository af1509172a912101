import type { Variable } from '@aloft/idl/flyteidl/core/interface';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { formatType } from '@aloft/literals';
import { UsageError } from '../failure.js';
import { literalFromText, type Upload } from './from-text.js';

/** Values given as `name=value`, of what a node declares. */
export async function valuesFrom(
  given: readonly string[],
  variables: Readonly<Record<string, Variable>>,
  what: 'input' | 'output',
  upload: Upload,
): Promise<Record<string, Literal>> {
  const declared = Object.entries(variables)
    .map(([name, { type }]) => `${name} (${formatType(type)})`)
    .join(', ');
  const literals: Record<string, Literal> = {};
  for (const word of given) {
    const at = word.indexOf('=');
    if (at < 1) throw new UsageError(`'${word}' is not name=value.`, `The ${what}s are ${declared || 'none'}.`);
    const name = word.slice(0, at);
    const type = variables[name]?.type;
    if (!type) throw new UsageError(`There is no ${what} '${name}'.`, `The ${what}s are ${declared || 'none'}.`);
    literals[name] = await literalFromText(type, word.slice(at + 1), name, upload);
  }
  return literals;
}
