import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { DefinitionError, TypeMismatchError } from '../errors.js';
import { entityBrand, type Task } from '../entities.js';
import type { TaskContext } from '../context.js';
import type { Graph } from '../graph/node.js';
import { titleOf } from '../registry.js';
import type { Fields } from '../types/data-type.js';
import type { FileTransfer } from '../types/file-transfer.js';

export type Literals = Record<string, Literal>;
export type TaskResult = { readonly outputs: Literals } | { readonly graph: Graph };

/** Runs a task on literals: inputs are read and checked, outputs are checked and written. */
export async function runTask(
  task: Task,
  inputs: Literals,
  transfer: FileTransfer,
  context: TaskContext,
): Promise<TaskResult> {
  const definition = task[entityBrand];
  const values = readValues(definition.inputs, inputs, transfer, `${titleOf(task)}: input`);
  if (definition.dynamic) return { graph: definition.dynamic(values) };
  if (definition.container)
    throw new DefinitionError(`${titleOf(task)} is a command in a container: it runs on a platform only.`);
  if (!definition.run)
    throw new DefinitionError(
      `${titleOf(task)} is a reference to a task that is registered elsewhere; it cannot run here.`,
    );
  const result = await definition.run(values, context);
  return { outputs: await writeValues(definition.outputs, result, transfer, `${titleOf(task)}: output`) };
}

export function readValues(
  fields: Fields,
  literals: Literals,
  transfer: FileTransfer,
  where: string,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, type]) => {
      const literal = literals[name];
      if (literal) return [name, type.fromLiteral(literal, transfer, `${where} '${name}'`)];
      if (type.defaultValue) return [name, type.defaultValue.value];
      if (type.isOmittable) return [name, null];
      throw new TypeMismatchError(
        `${where} '${name}' (${type.label}) is missing; given are ${Object.keys(literals).sort().join(', ') || 'none'}.`,
      );
    }),
  );
}

export async function writeValues(
  fields: Fields,
  given: unknown,
  transfer: FileTransfer,
  where: string,
): Promise<Literals> {
  const names = Object.keys(fields);
  if (names.length > 0 && (typeof given !== 'object' || given === null))
    throw new TypeMismatchError(`${where}s: expected an object with ${names.join(', ')}, but got ${String(given)}.`);
  const values = (given ?? {}) as Record<string, unknown>;
  const stranger = Object.keys(values).find((name) => !(name in fields));
  if (stranger !== undefined)
    throw new TypeMismatchError(`${where} '${stranger}' is not declared; declared are ${names.join(', ') || 'none'}.`);
  const literals = await Promise.all(
    Object.entries(fields).map(async ([name, type]): Promise<[string, Literal]> => {
      const value = values[name];
      if (value === undefined && !type.isOmittable)
        throw new TypeMismatchError(`${where} '${name}' (${type.label}) is missing.`);
      const filled = value === undefined ? (type.defaultValue?.value ?? null) : value;
      return [name, await type.toLiteral(filled, transfer, `${where} '${name}'`)];
    }),
  );
  return Object.fromEntries(literals);
}

/** Inputs of one item of a map: the item of each list, and the bound inputs as they are (C-140). */
export function itemInputs(inputs: Literals, bound: readonly string[], index: number): Literals {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, literal]) => {
      if (bound.includes(name)) return [name, literal];
      if (literal.value?.$case !== 'collection')
        throw new TypeMismatchError(
          `Input '${name}' of a map must be a list, but it is ${literal.value?.$case ?? 'nothing'}.`,
        );
      const item = literal.value.value.literals[index];
      if (!item)
        throw new TypeMismatchError(
          `Input '${name}' has ${literal.value.value.literals.length} items; there is no item ${index}.`,
        );
      return [name, item];
    }),
  );
}

/** Number of items of a map; its lists must have one length (C-140). */
export function itemCount(inputs: Literals, bound: readonly string[]): number {
  const lengths = Object.entries(inputs)
    .filter(([name]) => !bound.includes(name))
    .map(([name, literal]) => ({
      name,
      length: literal.value?.$case === 'collection' ? literal.value.value.literals.length : 0,
    }));
  const [first] = lengths;
  if (!first) return 1;
  const other = lengths.find(({ length }) => length !== first.length);
  if (other)
    throw new TypeMismatchError(
      `InvalidArrayLength: the lists of a map must have one length, but '${first.name}' has ${first.length} items and '${other.name}' has ${other.length}.`,
    );
  return first.length;
}
