import { AloftError } from '@aloft/errors';
import type { Principal } from './principal.js';

/**
 * What is acted upon: as much of org, project, domain and name as the action names. A missing field means the action is
 * not confined to one (a list over projects, a call on the whole installation).
 */
export interface Resource {
  org?: string;
  project?: string;
  domain?: string;
  name?: string;
  version?: string;
}

/**
 * `<package>.<Service>/<Rpc>` of every rpc, or a word of the asking service's own for what is no rpc (`blob/get`).
 */
export type Action = string;

/** The authorisation decision. It stands in every rpc, list predicate and signed URL. */
export interface Policy {
  allows(principal: Principal, action: Action, resource: Resource): boolean | Promise<boolean>;
}

/** Everybody may do everything: the policy until roles exist. */
export const allowAll: Policy = { allows: () => true };

/** Resolves if `policy` allows it; PERMISSION_DENIED that says who, what and where if not. */
export async function authorize(
  policy: Policy,
  principal: Principal,
  action: Action,
  resource: Resource,
): Promise<void> {
  if (policy === allowAll || (await policy.allows(principal, action, resource))) return;
  const who = principal.subject === '' ? 'anonymous callers' : `"${principal.name ?? principal.subject}"`;
  throw new AloftError('PERMISSION_DENIED', `${who} may not call ${action} on ${describe(resource)}`);
}

function describe(resource: Resource): string {
  const parts = (['org', 'project', 'domain', 'name', 'version'] as const).flatMap((part) =>
    resource[part] ? [`${part} "${resource[part]}"`] : [],
  );
  return parts.length === 0 ? 'the installation' : parts.join(', ');
}
