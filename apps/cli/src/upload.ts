import { createHash } from 'node:crypto';
import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { AloftError } from '@aloft/errors';
import type { Connection } from './connection.js';
import { UsageError } from './failure.js';

/** Stores bytes through the data proxy; answers their URI. Equal bytes of one name have one URI. */
export async function uploadBytes(
  { dataProxy, target }: Connection,
  bytes: Buffer,
  filename: string,
  filenameRoot = '',
): Promise<string> {
  const md5 = createHash('md5').update(bytes).digest();
  const location = await dataProxy.createUploadLocation({
    project: target.project,
    domain: target.domain,
    org: '',
    filename,
    filenameRoot,
    contentMd5: md5,
    expiresIn: { seconds: 3600n, nanos: 0 },
    addContentMd5Metadata: true,
  });
  const headers = new Headers(location.headers);
  headers.set('Content-MD5', md5.toString('base64'));
  const response = await fetch(location.signedUrl, { method: 'PUT', body: new Uint8Array(bytes), headers });
  if (response.status !== 200 && response.status !== 201)
    throw new AloftError(
      'INTERNAL',
      `${filename} could not be uploaded to ${new URL(location.signedUrl).origin}: HTTP ${response.status} ${(await response.text()).slice(0, 500)}`,
    );
  return location.nativeUrl;
}

/** Stores a file, or all files of a folder under one prefix. */
export async function uploadPath(connection: Connection, path: string, multipart: boolean): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new UsageError(`There is no ${multipart ? 'folder' : 'file'} ${path}.`);
  if (found.isDirectory() !== multipart)
    throw new UsageError(
      `${path} is a ${found.isDirectory() ? 'folder' : 'file'}, but a ${multipart ? 'folder' : 'file'} is wanted.`,
    );
  if (!multipart) return uploadBytes(connection, await readFile(path), basename(path));
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  if (files.length === 0) throw new UsageError(`${path} is an empty folder.`);
  const contents = await Promise.all(files.map((file) => readFile(file)));
  const digest = createHash('sha256');
  files.forEach((file, i) => digest.update(`${relative(path, file)}\0`).update(contents[i]!));
  const root = digest.digest('hex').slice(0, 32);
  let prefix = '';
  for (const [i, file] of files.entries()) {
    const name = relative(path, file).split(sep).join('/');
    const uri = await uploadBytes(connection, contents[i]!, name, root);
    prefix = uri.slice(0, uri.length - name.length - 1);
  }
  return prefix;
}
