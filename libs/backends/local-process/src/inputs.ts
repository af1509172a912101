import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BlobStore } from '@aloft/blob';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';

/** Whether anything that the process is given names the place of its inputs (or the folder around it): else it cannot know of them. */
export function readsInputs({ inputsUri }: LaunchTask, argv: readonly string[], env: Record<string, string>): boolean {
  const folder = inputsUri.replace(/^[\w+.-]+:\/\//, '').replace(/\/[^/]*$/, '');
  return folder !== '' && [...argv, ...Object.values(env)].some((text) => text.includes(folder));
}

/**
 * Puts inputs.pb where the task reads it. Inline inputs are written by us (not synced: the launch has them), stored ones are
 * there already unless they lie under another name. Several items of an array write the same bytes: each by a rename.
 */
export async function placeInputs(launch: LaunchTask, blob: BlobStore, unique: string): Promise<void> {
  const value = launch.inputs?.value;
  if (launch.inputsUri === '' || (value?.$case === 'stored' && value.value.uri === launch.inputsUri)) return;
  const bytes =
    value?.$case === 'stored'
      ? await blob.get(value.value.uri)
      : LiteralMap.encode(value?.value ?? { literals: {} }).finish();
  const path = blob.localPath(launch.inputsUri);
  if (path === undefined) {
    await blob.put(launch.inputsUri, bytes);
    return;
  }
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.${unique}`;
  await writeFile(partial, bytes);
  await rename(partial, path);
}
