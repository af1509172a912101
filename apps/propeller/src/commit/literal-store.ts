import { createHash } from 'node:crypto';
import type { BlobStore } from '@aloft/blob';
import { invalidArgument } from '@aloft/errors';
import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';

/** Literals by value or by reference, whichever they are. */
export class LiteralStore {
  constructor(
    private readonly blob: BlobStore,
    private readonly maxBytes: number,
  ) {}

  async load(value: LiteralsValue | undefined): Promise<LiteralMap> {
    if (value?.value?.$case === 'inline') return value.value.value;
    if (value?.value?.$case === 'stored') return this.read(value.value.value.uri);
    return { literals: {} };
  }

  /** NOT_FOUND when there is nothing, INVALID_ARGUMENT when it is not a LiteralMap. */
  async read(uri: string): Promise<LiteralMap> {
    const bytes = await this.blob.get(uri, { maxBytes: this.maxBytes });
    try {
      return LiteralMap.decode(bytes);
    } catch (error) {
      throw invalidArgument(`${uri} (${bytes.length} bytes) is not an encoded LiteralMap`, { cause: error });
    }
  }

  /** An offloaded literal (C-105). NOT_FOUND when there is nothing, INVALID_ARGUMENT when it is no Literal. */
  async readOffloaded(uri: string): Promise<Literal> {
    const bytes = await this.blob.get(uri, { maxBytes: this.maxBytes });
    try {
      return Literal.decode(bytes);
    } catch (error) {
      throw invalidArgument(`${uri} (${bytes.length} bytes) is not an encoded Literal`, { cause: error });
    }
  }

  put(uri: string, bytes: Uint8Array): Promise<unknown> {
    return this.blob.put(uri, bytes, { contentType: 'application/x-protobuf' });
  }

  /** Writes an inline value and returns its reference. */
  async outline(value: LiteralsValue, uri: string): Promise<LiteralsValue> {
    if (value.value?.$case !== 'inline') return value;
    return this.store(value.value.value, uri);
  }

  async store(map: LiteralMap, uri: string): Promise<LiteralsValue> {
    const bytes = LiteralMap.encode(map).finish();
    await this.put(uri, bytes);
    const digest = createHash('sha256').update(bytes).digest();
    return { value: { $case: 'stored', value: { uri, size: BigInt(bytes.length), digest } } };
  }
}
