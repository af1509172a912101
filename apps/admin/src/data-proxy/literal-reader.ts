import type { BlobStore } from '@aloft/blob';
import { type FlyteURLs, type UrlBlob } from '@aloft/idl/flyteidl/admin/common';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { Logger } from '@aloft/telemetry';
import type { AdminConfig } from '../config.js';
import type { NameKey } from '../registry/identifiers.js';
import { flyteUrl } from './flyte-urls.js';

/** Literals of a row: inline when small, else under a URI; neither when there are none. */
export interface HeldLiterals {
  bytes: Buffer | null;
  uri: string | null;
}

/** What data calls answer of them. */
export interface AnsweredLiterals {
  blob: UrlBlob;
  full: LiteralMap | undefined;
}

/** Reads literals wherever they lie. */
export class LiteralReader {
  constructor(
    private readonly blob: BlobStore,
    private readonly config: AdminConfig,
    private readonly logger: Logger,
  ) {}

  /**
   * Inline up to the limit (2 MiB), else only a signed URL; a failed read is a warning, not an error. `url` is what names
   * literals that lie in no object.
   */
  async answer(held: HeldLiterals, url: string): Promise<AnsweredLiterals> {
    if (held.bytes) return { blob: { url, bytes: BigInt(held.bytes.length) }, full: LiteralMap.decode(held.bytes) };
    if (!held.uri) return { blob: { url: '', bytes: 0n }, full: { literals: {} } };
    try {
      const info = await this.blob.head(held.uri);
      if (!info) return { blob: { url: held.uri, bytes: 0n }, full: undefined };
      const expiresInSeconds = this.config.dataProxy.maxExpirySeconds;
      const signed = await this.blob.signGet(held.uri, { expiresInSeconds });
      const small = info.size <= this.config.limits.inlineBytes;
      const full = small ? LiteralMap.decode(await this.blob.get(held.uri)) : undefined;
      return { blob: { url: signed.url, bytes: BigInt(info.size) }, full };
    } catch (error) {
      this.logger.warn({ err: error, uri: held.uri }, 'literals could not be read; answering with their URI only');
      return { blob: { url: held.uri, bytes: 0n }, full: undefined };
    }
  }

  /** All of them; NOT_FOUND if their object is gone. `undefined` when there are none. */
  async read(held: HeldLiterals): Promise<LiteralMap | undefined> {
    if (held.bytes) return LiteralMap.decode(held.bytes);
    return held.uri ? LiteralMap.decode(await this.blob.get(held.uri)) : undefined;
  }
}

export function flyteUrls(execution: NameKey, nodeId: string, hasDeck: boolean, attempt?: number): FlyteURLs {
  return {
    inputs: flyteUrl(execution, nodeId, 'inputs', attempt),
    outputs: flyteUrl(execution, nodeId, 'outputs', attempt),
    deck: hasDeck ? flyteUrl(execution, nodeId, 'deck') : '',
  };
}
