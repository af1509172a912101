import { DynamicJobSpec } from '@aloft/idl/flyteidl/core/dynamic_job';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { TaskContext } from './context.js';
import { TypeMismatchError } from './errors.js';
import { definitionOf, type Entity, type Task } from './entities.js';
import { runTask } from './execution/run-task.js';
import { declaredEntities, nameExports } from './registry.js';
import { serialize, serializeDynamic, type SerializeContext, type Serialized } from './serialize/index.js';
import type { FileTransfer } from './types/file-transfer.js';
import { sdkVersion } from './version.js';

/** Name of the export by which a bundle shows its entry. */
export const bundleExport = '__aloft';

/**
 * What a bundle of user code offers to whoever runs or registers it. A bundle carries the SDK with which it was made;
 * between it and the process around it only this crosses, with bytes for messages, so the two may differ in version.
 */
export interface BundleEntry {
  /** Raised when this interface changes in a way that older hosts cannot use. */
  readonly contract: 1;
  readonly sdkVersion: string;
  runTask(request: TaskRequest): Promise<TaskResponse>;
  /** Every entity that the module exports or uses. */
  serialize(context: SerializeContext): Promise<Serialized>;
  /** Exported entities by export name. */
  readonly entities: ReadonlyMap<string, Entity>;
}

export interface TaskRequest {
  readonly task: string;
  /** A flyteidl LiteralMap. */
  readonly inputs: Uint8Array;
  readonly transfer: FileTransfer;
  readonly context: TaskContext;
  /** What a dynamic task's graph refers to. */
  readonly serialization: SerializeContext;
}

export interface TaskResponse {
  /** A LiteralMap for outputs.pb, or a DynamicJobSpec for futures.pb. */
  readonly kind: 'outputs' | 'futures';
  readonly bytes: Uint8Array;
}

/** Makes the entry of a module; `stem` names what its exports do not name themselves. */
export function bundleEntry(exports: Readonly<Record<string, unknown>>, stem: string): BundleEntry {
  const entities = nameExports(exports, stem);
  const findTask = (name: string): Task => {
    const tasks = [...entities.values(), ...declaredEntities()].filter(
      (entity) => definitionOf(entity)?.kind === 'task',
    );
    const found = tasks.find((entity) => definitionOf(entity)!.name === name);
    if (!found) {
      const names = [...new Set(tasks.map((entity) => definitionOf(entity)!.name ?? '(unnamed)'))];
      throw new TypeMismatchError(`There is no task '${name}' in ${stem}; it has ${names.join(', ') || 'none'}.`);
    }
    return found as Task;
  };
  return {
    contract: 1,
    sdkVersion,
    entities,
    serialize: (context) => serialize(entities.values(), context),
    async runTask({ task, inputs, transfer, context, serialization }) {
      const { literals } = LiteralMap.decode(inputs);
      const result = await runTask(findTask(task), literals, transfer, context);
      if ('outputs' in result)
        return { kind: 'outputs', bytes: LiteralMap.encode({ literals: result.outputs }).finish() };
      const futures = await serializeDynamic(result.graph, serialization);
      return { kind: 'futures', bytes: DynamicJobSpec.encode(futures).finish() };
    },
  };
}

export type { Serialized, SerializeContext };
