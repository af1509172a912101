import { createHash } from 'node:crypto';
import type { BlobStore } from '@aloft/blob';
import type { Graph } from '@aloft/engine';
import { AloftError } from '@aloft/errors';

export interface GraphCacheOptions {
  blob: BlobStore;
  compile(digest: string, closure: Uint8Array): Graph;
  /** Bytes of encoded closures kept (their graphs take a few times that). */
  maxBytes: number;
  maxClosureBytes: number;
}

interface Cached {
  graph: Graph;
  bytes: number;
}

/** Compiled graphs by digest: least recently used go first; each is fetched and compiled once, however many wait for it. */
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
    const graph = this.options.compile(digest, closure);
    this.keep(digest, { graph, bytes: closure.length });
    return graph;
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
