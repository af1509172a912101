import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { CallContext } from '@aloft/rpc';

/**
 * a version is part of URLs (REST, consoles, links in notifications), so it should need no escaping there. What is registered all the
 * same, since versions that hold other characters are in use, is told to whoever registers it.
 */
export function warnOfVersion(call: CallContext, id: Identifier | undefined): void {
  const version = id?.version ?? '';
  const odd = [...new Set(version.replace(/[A-Za-z0-9._~-]/g, ''))].join('');
  if (odd === '') return;
  call.warn(
    `id.version: ${JSON.stringify(odd)} of ${JSON.stringify(version)} must be escaped in URLs; letters, digits, "-", "_", "." and "~" need not`,
  );
}
