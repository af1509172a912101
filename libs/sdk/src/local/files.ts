import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, readdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { FileTransfer } from '../types/file-transfer.js';

/**
 * Files of a local run: kept in one folder under names made from their content, so that equal files have equal
 * locations and cached results fit, as with a content-addressed upload.
 */
export class LocalFiles implements FileTransfer {
  #next = 0;

  constructor(private readonly folder: string) {}

  async download(uri: string): Promise<string> {
    throw new Error(`${uri} is not on this machine: a local run reads local files only.`);
  }

  async upload(localPath: string, multipart: boolean): Promise<string> {
    const staging = join(this.folder, 'staging', String(this.#next++));
    await mkdir(staging, { recursive: true });
    const staged = join(staging, basename(localPath));
    await cp(localPath, staged, { recursive: true });
    const digest = await digestOf(staged, multipart);
    const target = join(this.folder, 'raw', digest);
    await mkdir(join(this.folder, 'raw'), { recursive: true });
    // A folder of that name holds the same content already.
    await rename(staging, target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return join(target, basename(localPath));
  }
}

async function digestOf(path: string, multipart: boolean): Promise<string> {
  const hash = createHash('sha256');
  const add = async (file: string): Promise<void> => {
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  };
  if (!multipart) await add(path);
  else
    for (const entry of (await readdir(path, { recursive: true, withFileTypes: true })).sort((a, b) =>
      join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1,
    ))
      if (entry.isFile()) {
        const file = join(entry.parentPath, entry.name);
        hash.update(`\0${file.slice(path.length)}\0`);
        await add(file);
      }
  return hash.update(basename(path)).digest('hex').slice(0, 32);
}
