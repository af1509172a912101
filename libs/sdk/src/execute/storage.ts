import { cp, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TaskSystemError } from '../errors.js';

/** Objects by URI: plain paths and file:// on this machine, s3:// in blob storage. */
export interface Storage {
  /** `undefined` if there is no such object. */
  read(uri: string): Promise<Uint8Array | undefined>;
  write(uri: string, data: Uint8Array, contentType?: string): Promise<void>;
  downloadFile(uri: string, path: string): Promise<void>;
  uploadFile(path: string, uri: string): Promise<void>;
  /** URIs of all objects under the prefix. */
  list(prefix: string): Promise<string[]>;
}

const isS3 = (uri: string): boolean => uri.startsWith('s3://');

/** Storage for whatever URI a task meets. The S3 client is loaded when the first s3:// URI comes: most tasks never need it. */
export function storageFrom(env: NodeJS.ProcessEnv): Storage {
  const local = new LocalStorage();
  let s3: Promise<Storage> | undefined;
  const of = (uri: string): Promise<Storage> => {
    if (isS3(uri)) return (s3 ??= import('./s3-storage.js').then(({ S3Storage }) => S3Storage.from(env)));
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(uri) && !uri.startsWith('file://'))
      throw new TaskSystemError(`${uri}: this kind of storage is not known; use s3://, file:// or a path.`);
    return Promise.resolve(local);
  };
  return {
    read: async (uri) => (await of(uri)).read(uri),
    write: async (uri, data, contentType) => (await of(uri)).write(uri, data, contentType),
    downloadFile: async (uri, path) => (await of(uri)).downloadFile(uri, path),
    uploadFile: async (path, uri) => (await of(uri)).uploadFile(path, uri),
    list: async (prefix) => (await of(prefix)).list(prefix),
  };
}

const pathOf = (uri: string): string => (uri.startsWith('file://') ? fileURLToPath(uri) : uri);

class LocalStorage implements Storage {
  async read(uri: string): Promise<Uint8Array | undefined> {
    return readFile(pathOf(uri)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
  }

  async write(uri: string, data: Uint8Array): Promise<void> {
    await mkdir(dirname(pathOf(uri)), { recursive: true });
    await writeFile(pathOf(uri), data);
  }

  async downloadFile(uri: string, path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    await cp(pathOf(uri), path);
  }

  async uploadFile(path: string, uri: string): Promise<void> {
    await this.downloadFile(path, pathOf(uri));
  }

  async list(prefix: string): Promise<string[]> {
    const root = pathOf(prefix);
    if ((await stat(root)).isFile()) return [root];
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  }
}
