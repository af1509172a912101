import { invalidArgument } from '@aloft/errors';
import type { DatasetID } from '@aloft/idl/flyteidl/datacatalog/datacatalog';

/** Checks an id of the kind that names a dataset by its parts; a UUID alone will do where one is looked up. */
export function requireDatasetId(id: DatasetID | undefined, where: string, orUuid = false): DatasetID {
  if (!id) throw invalidArgument(`${where} is missing: name the dataset by project, domain, name and version`);
  if (orUuid && id.UUID !== '') {
    if (!uuid.test(id.UUID)) throw invalidArgument(`${where}.UUID is "${id.UUID}", which is no UUID`);
    return id;
  }
  for (const part of ['project', 'domain', 'name', 'version'] as const)
    if (id[part] === '')
      throw invalidArgument(`${where}.${part} is empty: a dataset needs project, domain, name and version`);
  return id;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** `project/domain/name/version`, for messages. */
export function describeDataset(id: DatasetID): string {
  return id.name === '' ? `dataset ${id.UUID}` : `dataset ${id.project}/${id.domain}/${id.name}/${id.version}`;
}
