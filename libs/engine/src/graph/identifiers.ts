import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';

/** Key of a task or workflow within a closure; the resource type doesn't matter there. */
export function keyOf(id: Identifier | undefined): string {
  return id ? [id.org, id.project, id.domain, id.name, id.version].join('\u0000') : '';
}

/** Digests are bytes in messages and hexadecimal text everywhere else. */
export function hexOf(digest: Uint8Array): string {
  let hex = '';
  for (const byte of digest) hex += byte.toString(16).padStart(2, '0');
  return hex;
}
