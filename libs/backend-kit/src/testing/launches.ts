import { type LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { type Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { type Resources, Resources_ResourceName } from '@aloft/idl/flyteidl/core/tasks';
import { type LiteralType, SimpleType } from '@aloft/idl/flyteidl/core/types';
import { type DeepPartial, LaunchTask as LaunchTaskMessage } from '@aloft/idl/aloft/v1/bus';

export const integer = (value: number): Literal => ({
  value: {
    $case: 'scalar',
    value: { value: { $case: 'primitive', value: { value: { $case: 'integer', value: BigInt(value) } } } },
  },
  hash: '',
  metadata: {},
});

export const integerType = { type: { $case: 'simple', value: SimpleType.INTEGER } } as LiteralType;

export const encodeLiterals = (literals: Record<string, Literal>): Buffer =>
  Buffer.from(LiteralMap.encode({ literals }).finish());

export interface LaunchOptions {
  /** The attempt's derived name. */
  name: string;
  execution?: string;
  generation?: number;
  index?: number;
  type?: string;
  command?: string[];
  args?: string[];
  inputs?: Record<string, Literal>;
  outputs?: Record<string, LiteralType>;
  cpu?: string;
  memory?: string;
  gpu?: string;
  env?: Record<string, string>;
  executionTimeoutMs?: number;
  bucket?: string;
}

/** A complete launch as the propeller sends it. */
export function launchOf(options: LaunchOptions): LaunchTask & { attempt: NonNullable<LaunchTask['attempt']> } {
  const execution = options.execution ?? 'run1';
  const entries = [
    [Resources_ResourceName.CPU, options.cpu],
    [Resources_ResourceName.MEMORY, options.memory],
    [Resources_ResourceName.GPU, options.gpu],
  ] as const;
  const resources: Resources = {
    requests: entries.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }])),
    limits: options.memory === undefined ? [] : [{ name: Resources_ResourceName.MEMORY, value: options.memory }],
  };
  const prefix = `s3://${options.bucket ?? 'aloft'}/metadata/propeller/flytesnacks-development-${execution}`;
  const node = options.name.replace(/^.*?-(n[\w-]*)$/, '$1');
  const timeout = options.executionTimeoutMs;
  const partial: DeepPartial<LaunchTask> = {
    attempt: {
      execution: { org: '', project: 'flytesnacks', domain: 'development', name: execution },
      executionUid: `uid-${execution}`,
      nodeId: node,
      retryAttempt: 0,
      index: options.index,
      task: { project: 'flytesnacks', domain: 'development', name: 'test.task', version: 'v1' },
      generation: options.generation ?? 1,
      name: options.name,
    },
    template: {
      id: { project: 'flytesnacks', domain: 'development', name: 'test.task', version: 'v1' },
      type: options.type ?? 'container',
      interface: {
        inputs: {
          variables: Object.fromEntries(
            Object.keys(options.inputs ?? {}).map((name) => [name, { type: integerType, description: '' }]),
          ),
        },
        outputs: {
          variables: Object.fromEntries(
            Object.entries(options.outputs ?? {}).map(([name, type]) => [name, { type, description: '' }]),
          ),
        },
      },
      target: {
        $case: 'container',
        value: { image: 'test:1', command: options.command ?? [], args: options.args ?? [] },
      },
    },
    inputs: { value: { $case: 'inline', value: { literals: options.inputs ?? {} } } },
    inputsUri: `${prefix}/${options.name}/data/inputs.pb`,
    outputPrefix: `${prefix}/${options.name}/data/${options.generation ?? 1}`,
    rawOutputPrefix: `s3://${options.bucket ?? 'aloft'}/data/${execution}`,
    resources,
    env: Object.entries(options.env ?? {}).map(([key, value]) => ({ key, value })),
    executionTimeout:
      timeout === undefined
        ? undefined
        : { seconds: BigInt(Math.floor(timeout / 1000)), nanos: (timeout % 1000) * 1_000_000 },
  };
  const launch = LaunchTaskMessage.fromPartial(partial);
  return { ...launch, attempt: launch.attempt as NonNullable<LaunchTask['attempt']> };
}
