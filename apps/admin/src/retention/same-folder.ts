import type { NameKey } from '../registry/identifiers.js';

/**
 * Flyte's layout puts a run's metadata under `<project>-<domain>-<name>` (C-100): other runs whose parts, joined, give the same text.
 * What is in that folder can't be told apart by its names.
 */
export function sameFolder({ org, project, domain, name }: NameKey, domains: readonly string[]): NameKey[] {
  const folder = `${project}-${domain}-${name}`;
  const others: NameKey[] = [];
  for (const between of domains)
    for (let at = folder.indexOf(`-${between}-`, 1); at > 0; at = folder.indexOf(`-${between}-`, at + 1)) {
      const other = { org, project: folder.slice(0, at), domain: between, name: folder.slice(at + between.length + 2) };
      if (other.name !== '' && other.project !== project) others.push(other);
    }
  return others;
}
