import type { BlobInfo, BlobStore } from '@aloft/blob';
import { internal, notFound } from '@aloft/errors';
import type { SimProcess } from './sim-process.js';

/** Objects that all processes share. */
export type Blobs = Map<string, Uint8Array>;

/** Blob storage as one process reaches it. */
export function memoryBlob(blobs: Blobs, process: SimProcess): BlobStore {
  const info = (uri: string, size: number): BlobInfo => ({
    uri,
    size,
    etag: '',
    lastModified: new Date(0),
    metadata: {},
  });
  const unused = (): never => {
    throw internal('simulation: the propeller needs no more of blob storage than get, put and head');
  };
  return {
    bucket: 'aloft',
    put: (uri, data) =>
      process.call('blob', 'put', () => {
        if (!(data instanceof Uint8Array)) return unused();
        blobs.set(uri, data);
        return info(uri, data.length);
      }),
    get: (uri) =>
      process.call('blob', 'get', () => {
        const bytes = blobs.get(uri);
        if (!bytes) throw notFound(`there is no object ${uri}`);
        return bytes;
      }),
    head: (uri) =>
      process.call('blob', 'head', () => {
        const bytes = blobs.get(uri);
        return bytes && info(uri, bytes.length);
      }),
    stream: unused,
    list: unused,
    delete: unused,
    signPut: unused,
    signGet: unused,
    localPath: () => undefined,
  };
}
