import { invalidArgument } from '@aloft/errors';
import { ResourceType, type Identifier, type WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { NamedEntityIdentifier } from '@aloft/idl/flyteidl/admin/common';

/** All parts of a versioned entity's key. */
export interface EntityKey {
  org: string;
  project: string;
  domain: string;
  name: string;
  version: string;
}

export interface NameKey {
  org: string;
  project: string;
  domain: string;
  name: string;
}

/** Longest part of an identifier, in characters. */
export const maxIdentifierLength = 255;

const typeNames: Partial<Record<ResourceType, string>> = {
  [ResourceType.TASK]: 'task',
  [ResourceType.WORKFLOW]: 'workflow',
  [ResourceType.LAUNCH_PLAN]: 'launch plan',
};

export function resourceTypeName(type: ResourceType): string {
  return typeNames[type] ?? 'entity';
}

/**
 * all parts there, type fits the call (UNSPECIFIED passes: old clients leave it out). `where` is the field's path.
 */
export function requireIdentifier(id: Identifier | undefined, type: ResourceType, where = 'id'): EntityKey {
  if (!id)
    throw invalidArgument(
      `${where}: missing; it must name a ${resourceTypeName(type)} (project, domain, name, version)`,
    );
  if (id.resourceType !== type && id.resourceType !== ResourceType.UNSPECIFIED)
    throw invalidArgument(
      `${where}.resource_type: ${ResourceType[id.resourceType] ?? id.resourceType} does not fit; it must be ${ResourceType[type]}`,
    );
  for (const part of ['project', 'domain', 'name', 'version'] as const) requirePart(id[part], `${where}.${part}`);
  requireOrg(id.org, where);
  return { org: id.org, project: id.project, domain: id.domain, name: id.name, version: id.version };
}

export function requireName(id: NamedEntityIdentifier | undefined, where = 'id'): NameKey {
  if (!id) throw invalidArgument(`${where}: missing; it must hold project, domain and name`);
  for (const part of ['project', 'domain', 'name'] as const) requirePart(id[part], `${where}.${part}`);
  requireOrg(id.org, where);
  return { org: id.org, project: id.project, domain: id.domain, name: id.name };
}

/** Project and domain required, name optional (lists). */
export function requireScope(id: NamedEntityIdentifier | undefined, where = 'id'): NameKey {
  if (!id) throw invalidArgument(`${where}: missing; it must hold project and domain`);
  for (const part of ['project', 'domain'] as const) requirePart(id[part], `${where}.${part}`);
  requireOrg(id.org, where);
  return { org: id.org, project: id.project, domain: id.domain, name: id.name };
}

export function requireExecutionId(id: WorkflowExecutionIdentifier | undefined, where = 'id'): NameKey {
  if (!id) throw invalidArgument(`${where}: missing; it must name an execution (project, domain, name)`);
  for (const part of ['project', 'domain', 'name'] as const) requirePart(id[part], `${where}.${part}`);
  requireOrg(id.org, where);
  return { org: id.org, project: id.project, domain: id.domain, name: id.name };
}

function requireOrg(org: string, where: string): void {
  if (org !== '') requirePart(org, `${where}.org`);
}

/** Free text of at most `max` characters. */
export function requireText(text: string, where: string, max: number): void {
  if (text.length > max) throw invalidArgument(`${where}: ${text.length} characters; at most ${max} are allowed`);
  if (text.includes('\0')) throw invalidArgument(`${where}: must not hold the character NUL`);
}

export function requirePart(value: string, where: string): void {
  if (value === '') throw invalidArgument(`${where}: missing; it must not be empty`);
  if (value.length > maxIdentifierLength)
    throw invalidArgument(
      `${where}: "${value.slice(0, 40)}…" has ${value.length} characters; at most ${maxIdentifierLength} are allowed`,
    );
  if (value.includes('\0')) throw invalidArgument(`${where}: ${JSON.stringify(value)} must not hold the character NUL`);
}

export function identifierOf(key: EntityKey, resourceType: ResourceType): Identifier {
  const { org, project, domain, name, version } = key;
  return { resourceType, project, domain, name, version, org };
}

/** Of these, names have a description and a state, and versions a documentation. */
export function requireNamedType(type: ResourceType, where = 'resource_type'): void {
  if (type !== ResourceType.TASK && type !== ResourceType.WORKFLOW && type !== ResourceType.LAUNCH_PLAN)
    throw invalidArgument(`${where}: ${ResourceType[type] ?? type} has no names; use TASK, WORKFLOW or LAUNCH_PLAN`);
}

/** For messages: `flytesnacks/development/my.task@v1`. */
export function describeKey(key: { project: string; domain: string; name: string; version?: string }): string {
  const version = key.version === undefined ? '' : `@${key.version}`;
  return `${key.project}/${key.domain}/${key.name}${version}`;
}

/** One string per key, for maps and caches. */
export function keyText(key: NameKey & { version?: string }): string {
  return JSON.stringify([key.org, key.project, key.domain, key.name, key.version ?? null]);
}
