import { createHash } from 'node:crypto';
import type { BlobStore } from '@aloft/blob';
import { compileGraph, type Graph } from '@aloft/engine';
import { AloftError } from '@aloft/errors';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { LRUCache } from 'lru-cache';

/** Largest closure that is read, in bytes, and how many bytes of them have their graphs kept. */
const maxClosureBytes = 64 * 1024 * 1024;
const keptBytes = 64 * 1024 * 1024;

/** Compiled graphs by hex digest, read from where the log says that their closures lie. */
export class RunGraphs {
  private readonly kept = new LRUCache<string, Graph>({ maxSize: keptBytes });

  constructor(private readonly blob: BlobStore) {}

  /** NOT_FOUND without the closure, DATA_LOSS if its bytes are others than the run was started with. */
  async load({ digest, uri }: { digest: string; uri: string }): Promise<Graph> {
    const known = this.kept.get(digest);
    if (known) return known;
    const bytes = await this.blob.get(uri, { maxBytes: maxClosureBytes });
    const actual = createHash('sha256').update(bytes).digest('hex');
    if (actual !== digest)
      throw new AloftError('DATA_LOSS', `closure ${uri} has SHA-256 ${actual}, the run was started with ${digest}`);
    const graph = compileGraph(CompiledWorkflowClosure.decode(bytes), digest);
    this.kept.set(digest, graph, { size: Math.max(bytes.length, 1) });
    return graph;
  }
}
