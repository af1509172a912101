import { DefinitionError } from './errors.js';
import { requireBuilder } from './graph/builder.js';
import type { NodeOptions } from './graph/node.js';
import { promiseReference, type Promised } from './graph/promise.js';
import type { AnyType, WireOf } from './types/data-type.js';
import { milliseconds, type DurationText } from './types/durations.js';

type GateOptions = Pick<NodeOptions, 'timeout' | 'after' | 'nodeId' | 'name'>;

/** Waits for a person to approve the value, then passes it on; a rejection fails the run (C-130). */
export function approve<W>(signal: string, value: Promised<W>, options: GateOptions = {}): Promised<W> {
  const builder = requireBuilder('approve');
  const promise = promiseReference(value);
  if (!promise) throw new DefinitionError(`${builder.title}: approve('${signal}', value) takes a promised value.`);
  const node = builder.add(
    { kind: 'approve', signal },
    { [promise.output]: { kind: 'promise', promise, expected: promise.type } },
    { [promise.output]: promise.type },
    { name: signal, ...options },
  );
  return (builder.handle(node) as Record<string, Promised<W>>)[promise.output]!;
}

/** Waits for a value of the type from outside (C-131). */
export function waitForSignal<T extends AnyType>(
  signal: string,
  type: T,
  options: GateOptions = {},
): Promised<WireOf<T>> {
  const builder = requireBuilder('waitForSignal');
  const node = builder.add({ kind: 'signal', signal, type }, {}, { value: type }, { name: signal, ...options });
  return (builder.handle(node) as { value: Promised<WireOf<T>> }).value;
}

/** Waits for a time; later steps name it in `after` (C-132). */
export function sleep(time: DurationText, options: GateOptions = {}): object {
  const builder = requireBuilder('sleep');
  const node = builder.add(
    { kind: 'sleep', milliseconds: milliseconds(time, 'sleep') },
    {},
    {},
    { name: 'sleep', ...options },
  );
  return builder.handle(node);
}
