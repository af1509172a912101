import type { BlobStore } from '@aloft/blob';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { AdminConfig } from '../config.js';
import { sha256 } from '../registry/canonical.js';
import type { EntityKey } from '../registry/identifiers.js';
import { LoadCache } from '../registry/load-cache.js';
import type { Registry } from '../registry/registry.js';
import type { WorkflowsRepository } from './workflows.repository.js';

/** Larger ones are in blob storage from their registration on. */
const maxInRowBytes = 32 * 1024;
/** Largest closure read back in one piece. */
const maxClosureBytes = 512 * 1024 * 1024;

/** A registered version, and where its closure lies once a run needs it there. */
export interface ClosurePlace {
  key: EntityKey;
  closureUri: string;
}

/**
 * Closures of workflows. A small one is in its version's row, and in blob storage as well from the first launch on that needs it there: most
 * versions are registered and never run. See docs/decisions/0100-small-closures-stay-in-rows.md.
 */
export class Closures {
  /** By URI: those that this process knows to be in blob storage. */
  private readonly published: LoadCache<true>;

  constructor(
    private readonly registry: Registry,
    private readonly workflows: WorkflowsRepository,
    private readonly blob: BlobStore,
    private readonly config: AdminConfig,
  ) {
    this.published = new LoadCache({ max: config.caches.registryEntries });
  }

  /** Before a version is registered: its place, and what goes into its row. */
  async keep(key: EntityKey, closure: Uint8Array, digest: Buffer): Promise<{ uri: string; inRow: Buffer | null }> {
    const uri = this.uriOf(key, digest);
    if (closure.length <= maxInRowBytes) return { uri, inRow: Buffer.from(closure) };
    await this.blob.put(uri, closure);
    return { uri, inRow: null };
  }

  /** Resolves when the closure is in blob storage, where engines read it. */
  async publish({ key, closureUri }: ClosurePlace): Promise<void> {
    await this.published.get(closureUri, async () => {
      const inRow = await this.workflows.closure(this.registry.sql, key);
      // The same bytes again, where another process did so before.
      if (inRow) await this.blob.put(closureUri, inRow);
      return true;
    });
  }

  async read({ key, closureUri }: ClosurePlace): Promise<CompiledWorkflowClosure> {
    const inRow = await this.workflows.closure(this.registry.sql, key);
    return inRow ? CompiledWorkflowClosure.decode(inRow) : this.readAt(closureUri);
  }

  /** One that is in blob storage. */
  async readAt(uri: string): Promise<CompiledWorkflowClosure> {
    return CompiledWorkflowClosure.decode(await this.blob.get(uri, { maxBytes: maxClosureBytes }));
  }

  /**
   * By digest: a racing registration of another structure can't replace what is registered. All closures of a project and domain share a folder,
   * so that those who write at once share its syncing.
   */
  private uriOf({ org, project, domain }: EntityKey, digest: Buffer): string {
    const folder = [...(org === '' ? [] : [org]), project, domain].map(segmentOf).join('/');
    return `s3://${this.blob.bucket}/${this.config.storagePrefix}/${folder}/${digest.toString('hex')}.pb`;
  }
}

/** A part of a key as a path's segment, which may have 255 bytes: longer ones (255 characters are allowed, of any script) end with their hash. */
function segmentOf(part: string): string {
  const encoded = encodeURIComponent(part);
  return encoded.length <= 200 ? encoded : `${encoded.slice(0, 150)}.${sha256(Buffer.from(part)).toString('hex')}`;
}
