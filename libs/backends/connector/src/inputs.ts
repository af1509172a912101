import type { Launch } from '@aloft/backend-kit';
import type { BlobStore } from '@aloft/blob';
import { invalidArgument, toAloftError } from '@aloft/errors';
import { Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';

/** An attempt's inputs, wherever they travel. @throws INVALID_ARGUMENT if they have more than `maxBytes`: they will have as many every time */
export async function inputsOf({ inputs }: Launch, blob: BlobStore, maxBytes: number): Promise<LiteralMap> {
  const value = inputs?.value;
  if (value?.$case === 'inline') return value.value;
  if (value?.$case !== 'stored') return { literals: {} };
  try {
    return LiteralMap.decode(await blob.get(value.value.uri, { maxBytes }));
  } catch (error) {
    if (toAloftError(error).code !== 'RESOURCE_EXHAUSTED') throw error;
    throw invalidArgument(
      `the inputs have more than the ${maxBytes} bytes that connectors are given; pass large values as files`,
      { cause: error },
    );
  }
}

/** A literal that is not worth a file of its own, in bytes. */
const smallest = 1024;

/**
 * Inputs that are no larger than `maxBytes` where that can be: the largest of them are stored below `folder` as `flyteidl.core.Literal`, and say where
 * (C-105). flytekit reads them as it converts a connector's inputs to values, since 1.13.14. The same attempt writes the same files.
 */
export async function offloaded(
  inputs: LiteralMap,
  { template }: Pick<Launch, 'template'>,
  { blob, folder, maxBytes }: { blob: BlobStore; folder: string; maxBytes: number },
): Promise<LiteralMap> {
  const sizes = Object.entries(inputs.literals).map(([name, literal]) => ({
    name,
    literal,
    bytes: sizeOf(literal),
  }));
  let excess = sizes.reduce((sum, { name, bytes }) => sum + name.length + bytes, 0) - maxBytes;
  if (excess <= 0) return inputs;
  const literals = { ...inputs.literals };
  for (const { name, literal, bytes } of sizes.sort((a, b) => b.bytes - a.bytes)) {
    if (excess <= 0 || bytes < smallest) break;
    if (literal.value?.$case === 'offloadedMetadata') continue;
    const uri = `${folder}/${encodeURIComponent(name)}_offloaded_metadata.pb`;
    await blob.put(uri, Literal.encode(literal).finish(), { contentType: 'application/x-protobuf' });
    const inferredType = template?.interface?.inputs?.variables[name]?.type;
    const value = { uri, sizeBytes: BigInt(bytes), inferredType };
    literals[name] = { value: { $case: 'offloadedMetadata', value }, hash: literal.hash, metadata: literal.metadata };
    excess -= bytes - sizeOf(literals[name]);
  }
  return { literals };
}

const sizeOf = (literal: Literal): number => Literal.encode(literal).finish().length;
