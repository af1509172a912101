import type { BlobStore } from '@aloft/blob';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { dataPlaceOf } from '../raw-container/data-place.js';

/**
 * Puts inputs.pb where a task that runs elsewhere reads it: inline inputs are written, stored ones are there already unless they lie
 * under another name. Tasks whose command, environment or pod does not name the place cost no request.
 */
export async function storeInputs(launch: LaunchTask, blob: BlobStore): Promise<void> {
  const value = launch.inputs?.value;
  if (value?.$case === 'stored' && value.value.uri === launch.inputsUri) return;
  if (!readsInputs(launch)) return;
  const bytes =
    value?.$case === 'stored'
      ? await blob.stream(value.value.uri)
      : LiteralMap.encode(value?.value ?? { literals: {} }).finish();
  await blob.put(launch.inputsUri, bytes);
}

/** Whether something of ours brings them (C-180), or its texts name inputs.pb or the folder that it lies in (`{{.input}}`, `{{.inputPrefix}}`: C-106). */
function readsInputs({ template, inputsUri, env }: LaunchTask): boolean {
  if (inputsUri === '') return false;
  if (dataPlaceOf({ template })) return true;
  const folder = inputsUri.replace(/\/[^/]*$/, '');
  const names = (text: string) => {
    for (let at = text.indexOf(folder); at >= 0; at = text.indexOf(folder, at + 1)) {
      const behind = text.slice(at + folder.length);
      // The attempts' own prefixes lie below that folder.
      if (text.startsWith(inputsUri, at) || /^\/?(?![\w./-])/.test(behind)) return true;
    }
    return false;
  };
  const target = template?.target;
  const texts = [JSON.stringify(template?.custom ?? {}), ...env.map(({ value }) => value)];
  if (target?.$case === 'container') texts.push(...target.value.command, ...target.value.args);
  else if (target?.$case === 'k8sPod') texts.push(JSON.stringify(target.value.podSpec ?? {}));
  return texts.some(names);
}
