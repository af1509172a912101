import { randomUUID } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { TaskSystemError } from '../errors.js';
import type { FileTransfer } from '../types/file-transfer.js';
import type { Storage } from './storage.js';

/** Files of one attempt: brought to its folder, stored under its raw output prefix (C-101). */
export class AttemptFiles implements FileTransfer {
  constructor(
    private readonly storage: Storage,
    private readonly folder: string,
    private readonly rawOutputPrefix: string,
  ) {}

  async download(uri: string, multipart: boolean): Promise<string> {
    const target = join(this.folder, 'inputs', randomUUID(), basename(uri));
    if (!multipart) {
      await this.storage.downloadFile(uri, target);
      return target;
    }
    const objects = await this.storage.list(uri);
    if (objects.length === 0) throw new TaskSystemError(`${uri} has no files: it does not exist or is empty.`);
    await mkdir(target, { recursive: true });
    const root = uri.replace(/^file:\/\//, '').replace(/\/+$/, '');
    for (const object of objects) {
      const path = join(target, relative(root, object));
      if (!path.startsWith(target + sep)) throw new TaskSystemError(`${object} is not below ${uri}.`);
      await this.storage.downloadFile(object, path);
    }
    return target;
  }

  async upload(localPath: string, multipart: boolean): Promise<string> {
    const target = `${this.rawOutputPrefix}/${randomUUID().replaceAll('-', '')}/${basename(localPath)}`;
    if (!multipart) {
      await this.storage.uploadFile(localPath, target);
      return target;
    }
    const entries = await readdir(localPath, { recursive: true, withFileTypes: true });
    for (const entry of entries)
      if (entry.isFile()) {
        const path = join(entry.parentPath, entry.name);
        await this.storage.uploadFile(path, `${target}/${relative(localPath, path).split(sep).join('/')}`);
      }
    return target;
  }
}
