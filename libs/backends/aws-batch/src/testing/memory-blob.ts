import type { BlobInfo, BlobStore } from '@aloft/blob';
import { notFound, resourceExhausted } from '@aloft/errors';

/** Objects in memory, for tests with more of them than a disk likes; counts what is asked of it. */
export class MemoryBlob implements Pick<BlobStore, 'put' | 'get' | 'head' | 'list'> {
  readonly objects = new Map<string, { data: Uint8Array; at: Date }>();
  readonly counts = { put: 0, get: 0, head: 0, pages: 0 };

  async put(uri: string, data: Uint8Array): Promise<BlobInfo> {
    this.counts.put += 1;
    this.objects.set(uri, { data, at: new Date() });
    return this.infoOf(uri);
  }

  async get(uri: string, { maxBytes = Infinity }: { maxBytes?: number } = {}): Promise<Uint8Array> {
    this.counts.get += 1;
    const found = this.objects.get(uri);
    if (!found) throw notFound(`${uri} is not there`);
    if (found.data.length > maxBytes) throw resourceExhausted(`${uri} has ${found.data.length} bytes`);
    return found.data;
  }

  async head(uri: string): Promise<BlobInfo | undefined> {
    this.counts.head += 1;
    return this.objects.has(uri) ? this.infoOf(uri) : undefined;
  }

  async *list(prefix: string, { limit = Infinity }: { limit?: number } = {}): AsyncGenerator<BlobInfo> {
    let given = 0;
    for (const uri of this.objects.keys()) {
      if (!uri.startsWith(prefix)) continue;
      if (given % 1_000 === 0) {
        this.counts.pages += 1;
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (++given > limit) return;
      yield this.infoOf(uri);
    }
  }

  private infoOf(uri: string): BlobInfo {
    const { data, at } = this.objects.get(uri) as { data: Uint8Array; at: Date };
    return { uri, size: data.length, etag: '', lastModified: at, metadata: {} };
  }
}
