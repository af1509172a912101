import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';

/** A string that is the same for equal identifiers: all of resource type, org, project, domain, name and version. */
export const identifierKey = (id: Identifier): string =>
  JSON.stringify([id.resourceType, id.org, id.project, id.domain, id.name, id.version]);

/** `task flytesnacks/development/my.module.task@v1` */
export const formatIdentifier = (id: Identifier | undefined): string =>
  id === undefined
    ? '(no identifier)'
    : `${(ResourceType[id.resourceType] ?? 'resource').toLowerCase().replace('_', ' ')} ${id.org === '' ? '' : `${id.org}/`}${id.project}/${id.domain}/${id.name}@${id.version}`;

/** Unique identifiers, sorted by their parts. */
export class IdentifierSet {
  private readonly items = new Map<string, Identifier>();

  add(id: Identifier): void {
    this.items.set(identifierKey(id), id);
  }

  list(): Identifier[] {
    return [...this.items.entries()].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, id]) => id);
  }
}
