import type { BlobStore } from '@aloft/blob';
import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { sha256 } from '../registry/canonical.js';
import type { NameKey } from '../registry/identifiers.js';

/** Literals up to here travel by value, larger ones by reference (design.md section 5). */
export const maxInlineBytes = 32 * 1024;

/** Literals of a row: exactly one of both is set. */
export interface KeptLiterals {
  bytes: Buffer | null;
  uri: string | null;
  size: number;
  digest: Buffer;
}

/** Keeps literals in the row when small, else writes them to `uri`. */
export async function keepLiterals(blob: BlobStore, literals: LiteralMap, uri: string): Promise<KeptLiterals> {
  const bytes = Buffer.from(LiteralMap.encode(literals).finish());
  if (bytes.length <= maxInlineBytes) return { bytes, uri: null, size: bytes.length, digest: Buffer.alloc(0) };
  await blob.put(uri, bytes, { contentType: 'application/x-protobuf' });
  return { bytes: null, uri, size: bytes.length, digest: sha256(bytes) };
}

export function literalsValue(literals: LiteralMap, kept: KeptLiterals): LiteralsValue {
  return kept.uri === null
    ? { value: { $case: 'inline', value: literals } }
    : { value: { $case: 'stored', value: { uri: kept.uri, size: BigInt(kept.size), digest: kept.digest } } };
}

/** Where admin keeps inputs of a run that are too large for its row. */
export function inputsFolder(bucket: string, prefix: string, id: NameKey, uid: string): string {
  const { org, project, domain, name } = id;
  const path = [...(org === '' ? [] : [org]), project, domain, name].map(encodeURIComponent).join('/');
  return `s3://${bucket}/${prefix}/executions/${path}/${uid}`;
}
