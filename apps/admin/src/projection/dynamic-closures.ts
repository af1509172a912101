import type { BlobStore } from '@aloft/blob';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { AdminConfig } from '../config.js';
import { canonicalBytes, sha256 } from '../registry/canonical.js';
import type { ProjectedNode } from './projection.repository.js';

/** Workflows that dynamic nodes generate. */
export class DynamicClosures {
  constructor(
    private readonly blob: BlobStore,
    private readonly config: AdminConfig,
  ) {}

  /** A closure that came by value goes to blob storage under its digest: writing it twice is harmless. */
  async store({ executionId, state }: ProjectedNode): Promise<void> {
    const { dynamicClosure } = state;
    if (!dynamicClosure) {
      if (state.dynamicWorkflowId && !state.dynamicClosureUri)
        state.dynamicClosureUri = state.closure.dynamicJobSpecUri || null;
      return;
    }
    const bytes = canonicalBytes(CompiledWorkflowClosure, dynamicClosure);
    const name = sha256(bytes).toString('hex').slice(0, 32);
    const uri = `s3://${this.blob.bucket}/${this.config.storagePrefix}/dynamic/${executionId}/${name}.pb`;
    await this.blob.put(uri, bytes, { contentType: 'application/x-protobuf' });
    state.dynamicClosureUri = uri;
    state.dynamicClosure = undefined;
  }
}
