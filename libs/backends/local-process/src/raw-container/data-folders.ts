import { join } from 'node:path';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import type { DataLoadingConfig } from '@aloft/idl/flyteidl/core/tasks';

/** Where a raw container has its data if its task names no place. */
const defaults = { inputs: '/var/flyte/inputs', outputs: '/var/flyte/outputs' };

/** The folders of one attempt of a raw container: what it calls `/var/inputs` lies below the attempt's own folder here. */
export interface DataFolders {
  readonly inputs: string;
  readonly outputs: string;
  readonly config: DataLoadingConfig;
  /** Puts these folders where a text names the container's. */
  relocate(text: string): string;
}

/** `undefined` for tasks that read and write `inputs.pb` and `outputs.pb` themselves. */
export function dataFolders(launch: LaunchTask, attemptFolder: string): DataFolders | undefined {
  const config = dataLoading(launch);
  if (!config) return undefined;
  const folders = { inputs: join(attemptFolder, 'inputs'), outputs: join(attemptFolder, 'outputs') };
  const places = new Map([
    [bare(config.inputPath) || defaults.inputs, folders.inputs],
    [bare(config.outputPath) || defaults.outputs, folders.outputs],
  ]);
  // The longer first: one may lie in the other.
  const names = [...places.keys()].sort((a, b) => b.length - a.length).map(escape);
  const pattern = new RegExp(`(?<![\\w./-])(?:${names.join('|')})(?![\\w.-])`, 'g');
  return { ...folders, config, relocate: (text) => text.replace(pattern, (place) => places.get(place) ?? place) };
}

export function dataLoading({ template }: LaunchTask): DataLoadingConfig | undefined {
  const config = template?.target?.$case === 'container' ? template.target.value.dataConfig : undefined;
  return config?.enabled ? config : undefined;
}

const bare = (path: string): string => path.replace(/\/+$/, '');
const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
