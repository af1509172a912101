import { createHash } from 'node:crypto';
import type { BlobStore } from '@aloft/blob';
import { packedGraphVersion, type Graph } from '@aloft/engine';
import { AloftError } from '@aloft/errors';
import type { Engine } from './engine.js';

export interface GraphCacheOptions {
  blob: BlobStore;
  engine: Pick<Engine, 'compileGraph' | 'unpackGraph'>;
  compiler: { packGraph(digest: string, closure: Uint8Array): Promise<Uint8Array> };
  /** Closures of more bytes are compiled beside the event loop, once: their graphs are kept in a compact form. */
  largeBytes: number;
  /** Bytes kept: of encoded closures (their graphs take a few times that), or of compact graphs. */
  maxBytes: number;
  maxClosureBytes: number;
}

const checksumBytes = 32;
const checksum = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

interface Cached {
  graph: Graph;
  bytes: number;
}

/**
 * Compiled graphs by digest: least recently used go first; each is fetched and compiled once, however many wait for it. Those of large
 * closures lie in storage in their compact form, beside the closures: a process that starts reads them without compiling again.
 */
export class GraphCache {
  private readonly cached = new Map<string, Cached>();
  private readonly pending = new Map<string, Promise<Graph>>();
  private bytes = 0;

  constructor(private readonly options: GraphCacheOptions) {}

  /** The graph if it is here. */
  peek(digest: string): Graph | undefined {
    const found = this.cached.get(digest);
    if (!found) return undefined;
    this.cached.delete(digest);
    this.cached.set(digest, found);
    return found.graph;
  }

  /**
   * Fetches and compiles. NOT_FOUND when there is no such closure, DATA_LOSS when its bytes are not those of the digest,
   * INVALID_ARGUMENT when they are not a closure.
   */
  async load(digest: string, uri: string): Promise<Graph> {
    const here = this.peek(digest);
    if (here) return here;
    const running = this.pending.get(digest);
    if (running) return running;
    const loading = this.fetch(digest, uri).finally(() => this.pending.delete(digest));
    this.pending.set(digest, loading);
    return loading;
  }

  private async fetch(digest: string, uri: string): Promise<Graph> {
    const closure = await this.options.blob.get(uri, { maxBytes: this.options.maxClosureBytes });
    const actual = createHash('sha256').update(closure).digest('hex');
    if (actual !== digest) {
      throw new AloftError('DATA_LOSS', `closure ${uri} has SHA-256 ${actual}, its run was started with ${digest}`);
    }
    const { engine, largeBytes } = this.options;
    if (closure.length <= largeBytes) {
      const graph = engine.compileGraph(digest, closure);
      this.keep(digest, { graph, bytes: closure.length });
      return graph;
    }
    const packed = (await this.stored(digest)) ?? (await this.pack(digest, closure));
    this.keep(digest, packed);
    return packed.graph;
  }

  /** The graph from its stored compact form; `undefined` if there is none that is whole and of this version. */
  private async stored(digest: string): Promise<Cached | undefined> {
    try {
      const file = await this.options.blob.get(this.compactUri(digest), { maxBytes: this.options.maxClosureBytes * 2 });
      const bytes = file.subarray(checksumBytes);
      if (!checksum(bytes).equals(file.subarray(0, checksumBytes))) return undefined;
      return { graph: this.options.engine.unpackGraph(bytes), bytes: bytes.length };
    } catch {
      // It can be made again, and whatever is wrong with the storage shows there.
      return undefined;
    }
  }

  private async pack(digest: string, closure: Uint8Array): Promise<Cached> {
    const bytes = await this.options.compiler.packGraph(digest, closure);
    await this.options.blob.put(this.compactUri(digest), Buffer.concat([checksum(bytes), bytes]));
    return { graph: this.options.engine.unpackGraph(bytes), bytes: bytes.length };
  }

  private compactUri(digest: string): string {
    return `s3://${this.options.blob.bucket}/metadata/propeller/graphs/${digest}.v${packedGraphVersion}`;
  }

  private keep(digest: string, entry: Cached): void {
    this.cached.set(digest, entry);
    this.bytes += entry.bytes;
    for (const [oldest, { bytes }] of this.cached) {
      if (this.bytes <= this.options.maxBytes || oldest === digest) return;
      this.cached.delete(oldest);
      this.bytes -= bytes;
    }
  }
}
