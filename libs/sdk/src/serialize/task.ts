import { Secret_MountType } from '@aloft/idl/flyteidl/core/security';
import {
  type Container,
  type DeepPartial,
  Resources as ResourcesMessage,
  Resources_ResourceName,
  TaskTemplate,
} from '@aloft/idl/flyteidl/core/tasks';
import { VariableMap } from '@aloft/idl/flyteidl/core/interface';
import { entityBrand, type Task } from '../entities.js';
import type { ResourceAmounts, Resources } from '../graph/node.js';
import { nameOf } from '../registry.js';
import type { Fields } from '../types/data-type.js';
import { type DurationText, milliseconds, toProtoDuration } from '../types/durations.js';
import { sdkVersion } from '../version.js';
import { identifierOf, type SerializeContext } from './context.js';

/** Backends know by it that the container's arguments are `aloft-execute`'s. */
export const taskType = 'typescript-task';
/** Flyte's name for commands whose inputs and outputs are files of their container. */
const containerType = 'raw-container';

export const variables = (fields: Fields): VariableMap =>
  VariableMap.fromPartial({
    variables: Object.fromEntries(
      Object.entries(fields).map(([name, type]) => [
        name,
        { type: type.literalType, description: type.description || name },
      ]),
    ),
  });

const resourceNames = {
  cpu: Resources_ResourceName.CPU,
  memory: Resources_ResourceName.MEMORY,
  gpu: Resources_ResourceName.GPU,
  ephemeralStorage: Resources_ResourceName.EPHEMERAL_STORAGE,
} as const;

const amounts = (given: ResourceAmounts) =>
  Object.entries(resourceNames).flatMap(([key, name]) => {
    const value = given[key as keyof ResourceAmounts];
    return value === undefined ? [] : [{ name, value: String(value) }];
  });

export function resourcesMessage(resources: Resources | undefined): ResourcesMessage {
  const { limits, ...requests } = resources ?? {};
  return ResourcesMessage.fromPartial({ requests: amounts(requests), limits: amounts(limits ?? requests) });
}

/** Settings that flyteidl has no field for, as the platform reads them (docs/retries-and-limits.md). */
function policiesOf(task: Task): Record<string, string> {
  const { activeTimeout, queueTimeout, retryPolicy } = task[entityBrand];
  const span = (name: string, limit: DurationText | undefined) =>
    limit === undefined ? undefined : `${milliseconds(limit, `${name} of task ${nameOf(task)}`)}ms`;
  const policies = {
    'aloft.active-timeout': span('activeTimeout', activeTimeout),
    'aloft.queue-timeout': span('queueTimeout', queueTimeout),
    'aloft.retry': retryPolicy,
  };
  return Object.fromEntries(
    Object.entries(policies).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function commandOf(task: Task, context: SerializeContext): DeepPartial<Container> {
  const { container } = task[entityBrand];
  if (!container) return { args: argumentsOf(task, context) };
  const { command, args, inputPath, outputPath } = container;
  return { command: [...command], args: [...args], dataConfig: { enabled: true, inputPath, outputPath } };
}

const secretTypes = { env: Secret_MountType.ENV_VAR, file: Secret_MountType.FILE } as const;

/** Arguments of the container; the platform fills the templates (C-106). */
function argumentsOf(task: Task, context: SerializeContext): string[] {
  return [
    'aloft-execute',
    '--inputs',
    '{{.input}}',
    '--output-prefix',
    '{{.outputPrefix}}',
    '--raw-output-data-prefix',
    '{{.rawOutputDataPrefix}}',
    '--checkpoint-path',
    '{{.checkpointOutputPrefix}}',
    '--prev-checkpoint',
    '{{.prevCheckpointPrefix}}',
    ...(context.distribution ? ['--additional-distribution', context.distribution] : []),
    '--module',
    context.module,
    '--task',
    nameOf(task),
  ];
}

export function taskTemplate(task: Task, context: SerializeContext): TaskTemplate {
  const definition = task[entityBrand];
  const { cache } = definition;
  // The graph that a dynamic task makes when it runs names images, too: it has to know the registration's.
  const image: Record<string, string> = definition.dynamic ? { FLYTE_INTERNAL_IMAGE: context.image } : {};
  const env = { ...image, ...context.env, ...definition.env };
  return TaskTemplate.fromPartial({
    id: identifierOf(task, context),
    type: definition.container ? containerType : taskType,
    metadata: {
      discoverable: cache !== undefined,
      discoveryVersion: cache?.version ?? '',
      cacheSerializable: cache?.serialize ?? false,
      cacheIgnoreInputVars: [...(cache?.ignoredInputs ?? [])],
      runtime: { type: 0, version: sdkVersion, flavor: 'typescript' },
      retries: { retries: definition.retries ?? 0 },
      timeout:
        definition.timeout === undefined
          ? undefined
          : toProtoDuration(milliseconds(definition.timeout, `timeout of task ${nameOf(task)}`)),
      interruptibleValue:
        definition.interruptible === undefined
          ? undefined
          : { $case: 'interruptible', value: definition.interruptible },
      deprecatedErrorMessage: definition.deprecated ?? '',
      generatesDeck: definition.deck ?? false,
    },
    interface: { inputs: variables(definition.inputs), outputs: variables(definition.outputs) },
    securityContext:
      definition.secrets && definition.secrets.length > 0
        ? {
            secrets: definition.secrets.map(({ group = '', key, mount }) => ({
              group,
              key,
              mountRequirement: mount && secretTypes[mount],
            })),
          }
        : undefined,
    config: policiesOf(task),
    target: {
      $case: 'container',
      value: {
        image: definition.image ?? context.image,
        ...commandOf(task, context),
        resources: resourcesMessage(definition.resources),
        env: Object.entries(env)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, value]) => ({ key, value })),
      },
    },
  });
}
