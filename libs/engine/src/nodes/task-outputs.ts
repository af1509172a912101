import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { acceptsNone, emptyValue, inlineValue, none } from '../data/values.js';

/**
 * C-108: every declared output must be there; missing ones that may be None are. Stored outputs are taken as their host
 * checked them: reading them here would put them into the log.
 */
export function completeOutputs(
  task: TaskTemplate,
  outputs: LiteralsValue | undefined,
): { value: LiteralsValue } | { missing: string[] } {
  if (outputs?.value?.$case === 'stored') return { value: outputs };
  const literals = outputs?.value?.$case === 'inline' ? outputs.value.value.literals : undefined;
  const declared = task.interface?.outputs?.variables ?? {};
  const missing: string[] = [];
  let added: Record<string, Literal> | undefined;
  for (const name in declared) {
    if (literals?.[name]) continue;
    if (acceptsNone(declared[name]!.type)) (added ??= {})[name] = none;
    else missing.push(name);
  }
  if (missing.length > 0) return { missing };
  if (added) return { value: inlineValue({ ...literals, ...added }) };
  return { value: outputs ?? emptyValue };
}
