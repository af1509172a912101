import type { BlobStore } from '@aloft/blob';
import { notFound } from '@aloft/errors';

/** What items of one node's attempt have written, by `<index>/<item attempt>`. */
export interface WrittenFiles {
  /** When it was begun, of `performance.now()`. */
  at: number;
  items: ReadonlyMap<string, WrittenItem>;
}

export interface WrittenItem {
  /** Names of files. */
  names: ReadonlySet<string>;
  /** When the file that ends it was written, in milliseconds since 1970; `undefined` while there is none. */
  endedAt: number | undefined;
}

const ends = new Set(['outputs.pb', 'error.pb', 'futures.pb']);

/** Lists a folder once for everybody who needs it no older than that. */
export class WrittenFilesReader {
  private readonly listings = new Map<string, { at: number; files: Promise<WrittenFiles> }>();

  /** `notBefore`: of `performance.now()`. */
  async list(blob: BlobStore, folder: string, notBefore: number): Promise<WrittenFiles> {
    const known = this.listings.get(folder);
    if (known && known.at >= notBefore) return known.files;
    const at = performance.now();
    const files = readFolder(blob, folder, at);
    this.listings.set(folder, { at, files });
    const drop = () => {
      if (this.listings.get(folder)?.at === at) this.listings.delete(folder);
    };
    // What a listing says is of its moment; those who ask for the same job now may share it.
    files.then(() => setTimeout(drop, 5_000).unref(), drop);
    return files;
  }
}

async function readFolder(blob: BlobStore, folder: string, at: number): Promise<WrittenFiles> {
  const items = new Map<string, { names: Set<string>; endedAt: number | undefined }>();
  for await (const { uri, lastModified } of blob.list(`${folder}/`)) {
    const match = /^(\d+\/\d+)\/([^/]+)$/.exec(uri.slice(folder.length + 1));
    if (!match) continue;
    const [, item = '', name = ''] = match;
    let known = items.get(item);
    if (!known) items.set(item, (known = { names: new Set(), endedAt: undefined }));
    known.names.add(name);
    if (ends.has(name)) known.endedAt = Math.max(known.endedAt ?? 0, lastModified.getTime());
  }
  // Fifty thousand items have the same few files.
  const shared = new Map<string, Set<string>>();
  for (const item of items.values()) {
    const key = [...item.names].join('/');
    const same = shared.get(key);
    if (same) item.names = same;
    else shared.set(key, item.names);
  }
  return { at, items };
}

/** Storage of which one folder is known by its listing: what is not in it is not asked for. */
export function listedBlob(blob: BlobStore, folder: string, names: ReadonlySet<string>): BlobStore {
  const absent = (uri: string) => uri.startsWith(`${folder}/`) && !names.has(uri.slice(folder.length + 1));
  return {
    bucket: blob.bucket,
    put: (uri, data, options) => blob.put(uri, data, options),
    get: async (uri, options) => {
      if (absent(uri)) throw notFound(`${uri} is not there`);
      return blob.get(uri, options);
    },
    stream: (uri, range) => blob.stream(uri, range),
    head: async (uri) => (absent(uri) ? undefined : blob.head(uri)),
    list: (prefix, options) => blob.list(prefix, options),
    delete: (uri) => blob.delete(uri),
    signPut: (uri, options) => blob.signPut(uri, options),
    signGet: (uri, options) => blob.signGet(uri, options),
    localPath: (uri) => blob.localPath(uri),
  };
}
