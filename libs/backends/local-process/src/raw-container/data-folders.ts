import { join } from 'node:path';
import { type DataPlace, dataPlaceOf } from '@aloft/backend-kit';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';

/** The folders of one attempt of a raw container: what it calls `/var/inputs` lies below the attempt's own folder here. */
export interface DataFolders extends DataPlace {
  /** Puts these folders where a text names the container's. */
  relocate(text: string): string;
}

/** `undefined` for tasks that read and write `inputs.pb` and `outputs.pb` themselves. */
export function dataFolders(launch: LaunchTask, attemptFolder: string): DataFolders | undefined {
  const place = dataPlaceOf(launch);
  if (!place) return undefined;
  const folders = { inputs: join(attemptFolder, 'inputs'), outputs: join(attemptFolder, 'outputs') };
  const places = new Map([
    [place.inputs, folders.inputs],
    [place.outputs, folders.outputs],
  ]);
  // The longer first: one may lie in the other.
  const names = [...places.keys()].sort((a, b) => b.length - a.length).map(escape);
  const pattern = new RegExp(`(?<![\\w./-])(?:${names.join('|')})(?![\\w.-])`, 'g');
  const relocate = (text: string) => text.replace(pattern, (name) => places.get(name) ?? name);
  return { ...folders, config: place.config, relocate };
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
