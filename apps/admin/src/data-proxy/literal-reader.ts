import { Readable } from 'node:stream';
import type { BlobStore } from '@aloft/blob';
import { invalidArgument, resourceExhausted } from '@aloft/errors';
import { type FlyteURLs, type UrlBlob } from '@aloft/idl/flyteidl/admin/common';
import { LiteralMap, type Literal } from '@aloft/idl/flyteidl/core/literals';
import type { Logger } from '@aloft/telemetry';
import type { AdminConfig } from '../config.js';
import type { NameKey } from '../registry/identifiers.js';
import { flyteUrl } from './flyte-urls.js';
import { scanLiterals } from './literal-stream.js';

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

  /**
   * All of them; NOT_FOUND if their object is gone, RESOURCE_EXHAUSTED, with the largest of them, if it has more bytes than an answer may hold
   * it is only looked through then, never held.
   */
  async all(held: HeldLiterals): Promise<LiteralMap> {
    if (held.bytes) return LiteralMap.decode(held.bytes);
    if (!held.uri) return { literals: {} };
    const maxBytes = this.config.limits.dataBytes;
    const size = (await this.blob.head(held.uri))?.size ?? 0;
    if (size <= maxBytes) return LiteralMap.decode(await this.blob.get(held.uri, { maxBytes }));
    const { variables } = await scanLiterals(await this.blob.stream(held.uri), { wanted: undefined, maxBytes });
    const largest = variables.sort((a, b) => b.bytes - a.bytes).slice(0, 3);
    throw resourceExhausted(
      `flyte_url: ${held.uri} has ${size} bytes, at most ${maxBytes} are answered (admin.limits.dataBytes); the largest of its ` +
        `${variables.length} variables: ${largest.map(({ name, bytes }) => `"${name}" (${bytes} bytes)`).join(', ')}. Ask for one by ` +
        'its name, …/<name>, or for a signed URL (GetNodeExecutionData, GetExecutionData)',
    );
  }

  /** One of them, whatever the others' size. INVALID_ARGUMENT, with the names that there are, if there is none of that name. */
  async one(held: HeldLiterals, name: string, what: string): Promise<Literal> {
    const maxBytes = this.config.limits.dataBytes;
    const stream =
      held.uri && !held.bytes ? await this.blob.stream(held.uri) : Readable.from(held.bytes ? [held.bytes] : []);
    const { literal, variables } = await scanLiterals(stream, { wanted: name, maxBytes });
    if (literal) return literal;
    const found = variables.find((variable) => variable.name === name);
    if (found)
      throw resourceExhausted(
        `flyte_url: ${what} "${name}" has ${found.bytes} bytes, at most ${maxBytes} are answered (admin.limits.dataBytes): read it from ` +
          `${held.uri}, for which GetNodeExecutionData and GetExecutionData sign a URL`,
      );
    const names = variables.map((variable) => variable.name).sort();
    throw invalidArgument(
      `flyte_url: there is no ${what} "${name}"; known are ${names.slice(0, 100).join(', ') || 'none'}`,
    );
  }
}

export function flyteUrls(execution: NameKey, nodeId: string, hasDeck: boolean, attempt?: number): FlyteURLs {
  return {
    inputs: flyteUrl(execution, nodeId, 'inputs', attempt),
    outputs: flyteUrl(execution, nodeId, 'outputs', attempt),
    deck: hasDeck ? flyteUrl(execution, nodeId, 'deck') : '',
  };
}
