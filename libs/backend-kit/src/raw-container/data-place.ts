import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import type { DataLoadingConfig } from '@aloft/idl/flyteidl/core/tasks';

/** Where the files of a raw container's inputs and outputs are, for whoever brings them there and away (C-180). */
export interface DataPlace {
  readonly inputs: string;
  readonly outputs: string;
  readonly config: DataLoadingConfig;
}

/** Where a raw container has its data if its task names no place. */
const defaults = { inputs: '/var/flyte/inputs', outputs: '/var/flyte/outputs' };

/** The places as the container itself knows them; `undefined` for tasks that read and write `inputs.pb` and `outputs.pb` themselves. */
export function dataPlaceOf({ template }: Pick<LaunchTask, 'template'>): DataPlace | undefined {
  const target = template?.target;
  const config = target?.$case === 'container' || target?.$case === 'k8sPod' ? target.value.dataConfig : undefined;
  if (!config?.enabled) return undefined;
  const bare = (path: string) => path.replace(/\/+$/, '');
  return {
    inputs: bare(config.inputPath) || defaults.inputs,
    outputs: bare(config.outputPath) || defaults.outputs,
    config,
  };
}
