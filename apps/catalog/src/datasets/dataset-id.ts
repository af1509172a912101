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
  for (const part of ['org', 'project', 'domain', 'name', 'version'] as const)
    requireKeyPart(id[part], `${where}.${part}`);
  return id;
}

/** Above what a task's name of 255 characters makes, and what an index of Postgres takes. */
const maxKeyPart = 512;

/** A text by which something is looked up. */
export function requireKeyPart(text: string, where: string): void {
  if (text.length > maxKeyPart)
    throw invalidArgument(`${where} has ${text.length} characters: at most ${maxKeyPart} are allowed`);
  if (text.includes('\0')) throw invalidArgument(`${where} holds the character NUL, which no text may`);
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** `project/domain/name/version`, for messages. */
export function describeDataset(id: DatasetID): string {
  return id.name === '' ? `dataset ${id.UUID}` : `dataset ${id.project}/${id.domain}/${id.name}/${id.version}`;
}
