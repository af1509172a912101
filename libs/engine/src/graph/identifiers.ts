import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';

/** Key of a task or workflow within a closure; the resource type doesn't matter there. */
export function keyOf(id: Identifier | undefined): string {
  return id ? [id.org, id.project, id.domain, id.name, id.version].join('\u0000') : '';
}
