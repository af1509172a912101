import { DefinitionError } from './errors.js';
import { definitionOf, type Entity } from './entities.js';

const declared = new Set<Entity>();

export function declare<E extends Entity>(entity: E): E {
  declared.add(entity as Entity);
  return entity;
}

/** Everything that this copy of the SDK was asked to define, in order of definition. */
export const declaredEntities = (): readonly Entity[] => [...declared];

/**
 * Gives entities without a name of their own the name `<stem>.<export>` (`pipeline.train` for `export const train` in
 * pipeline.ts), and answers all that the module exports. The same rule runs at registration and in the task's process.
 */
export function nameExports(exports: Readonly<Record<string, unknown>>, stem: string): Map<string, Entity> {
  const found = new Map<string, Entity>();
  for (const [exportName, value] of Object.entries(exports)) {
    const definition = definitionOf(value);
    if (!definition) continue;
    definition.name ??= exportName === 'default' ? stem : `${stem}.${exportName}`;
    found.set(exportName, value as Entity);
  }
  return found;
}

export function nameOf(entity: Entity): string {
  const definition = definitionOf(entity)!;
  const name = definition.reference?.name ?? definition.name;
  if (!name)
    throw new DefinitionError(
      `A ${definition.kind} with inputs {${Object.keys(definition.inputs).join(', ')}} and outputs {${Object.keys(definition.outputs).join(', ')}} ` +
        "has no name: export it from the registered file, or give it one with { name: '…' }.",
    );
  return name;
}

/** Name for messages, also where there is none yet. */
export function titleOf(entity: Entity): string {
  const definition = definitionOf(entity)!;
  return `${definition.kind} ${definition.reference?.name ?? definition.name ?? '(not named yet)'}`;
}
