import { compileDynamic, dynamicRequirements } from '@aloft/compiler';
import { invalidArgument } from '@aloft/errors';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { DynamicJobSpec } from '@aloft/idl/flyteidl/core/dynamic_job';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { ParameterMap, VariableMap } from '@aloft/idl/flyteidl/core/interface';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';

/** Everything encoded: it crosses threads. */
export interface EncodedDynamic {
  /** A DynamicJobSpec, as the task wrote it (C-150). */
  futures: Uint8Array;
  /** The TaskTemplate that the generated workflow stands for. */
  template: Uint8Array;
  /** Version of the generated workflow: derived from the futures, so that the same ones give the same closure. */
  version: string;
  tasks: readonly Uint8Array[];
  launchPlans: readonly { id: Identifier; inputs: Uint8Array; outputs: Uint8Array }[];
}

export interface MissingEntities {
  tasks: Identifier[];
  launchPlans: Identifier[];
}

/** Tasks and launch plans that the futures refer to and do not bring along. INVALID_ARGUMENT: not a DynamicJobSpec. */
export function missingEntities(futures: Uint8Array): MissingEntities {
  const { tasks, launchPlans } = dynamicRequirements(decodeFutures(futures));
  return { tasks, launchPlans };
}

/**
 * The encoded closure of a generated workflow (C-151). Throws the compiler's refusal, which names node and reason, when the
 * graph cannot be right (C-152).
 */
export function compileEncoded(input: EncodedDynamic): Uint8Array {
  const task = TaskTemplate.decode(input.template);
  const closure = compileDynamic({
    spec: decodeFutures(input.futures),
    id: {
      resourceType: ResourceType.WORKFLOW,
      project: task.id?.project ?? '',
      domain: task.id?.domain ?? '',
      org: task.id?.org ?? '',
      name: `dynamic_${task.id?.name ?? ''}`,
      version: input.version,
    },
    interface: task.interface,
    tasks: input.tasks.map((bytes) => TaskTemplate.decode(bytes)),
    launchPlans: input.launchPlans.map(({ id, inputs, outputs }) => ({
      id,
      expectedInputs: ParameterMap.decode(inputs),
      expectedOutputs: VariableMap.decode(outputs),
    })),
  });
  return CompiledWorkflowClosure.encode(closure).finish();
}

function decodeFutures(bytes: Uint8Array): DynamicJobSpec {
  try {
    return DynamicJobSpec.decode(bytes);
  } catch (error) {
    throw invalidArgument(`futures.pb (${bytes.length} bytes) is not an encoded DynamicJobSpec`, { cause: error });
  }
}
