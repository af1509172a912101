import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { BlobStore } from '@aloft/blob';
import { invalidArgument } from '@aloft/errors';
import { type Blob, type Literal, LiteralMap, type Primitive, type Scalar } from '@aloft/idl/flyteidl/core/literals';
import { DataLoadingConfig_LiteralMapFormat, IOStrategy_DownloadMode } from '@aloft/idl/flyteidl/core/tasks';
import { BlobType_BlobDimensionality } from '@aloft/idl/flyteidl/core/types';
import { formatDuration, formatTimestamp, msgpackPart, msgpackTag, msgpackToPlain } from '@aloft/literals';
import type { DataPlace } from './data-place.js';

/** A value as the summary has it, and the literal with places of this machine for its URIs. */
interface Placed {
  plain: unknown;
  literal: Literal;
}

/**
 * Writes the inputs of a raw container, as Flyte's copilot does: a file for each, named by it (text for scalars, the file itself for
 * blobs, a folder for directories, lists and maps), and all of them in `inputs.pb` and `inputs.json` or `inputs.yaml`.
 */
export async function placeData(literals: Readonly<Record<string, Literal>>, blob: BlobStore, folders: DataPlace) {
  const { inputs, outputs, config } = folders;
  await Promise.all([mkdir(inputs, { recursive: true }), mkdir(outputs, { recursive: true })]);
  const fetches = config.ioStrategy?.downloadMode !== IOStrategy_DownloadMode.DO_NOT_DOWNLOAD;
  const placed = await placeMap(literals, inputs, fetches ? blob : undefined);
  const summary = JSON.stringify(placed.plain, (_, value: unknown) =>
    typeof value === 'bigint' ? exact(value) : value,
  );
  const { JSON: json, YAML: yaml } = DataLoadingConfig_LiteralMapFormat;
  await writeFile(join(inputs, 'inputs.pb'), LiteralMap.encode({ literals: placed.literals }).finish());
  // JSON is YAML, too.
  if (config.format === json || config.format === yaml)
    await writeFile(join(inputs, config.format === json ? 'inputs.json' : 'inputs.yaml'), summary);
}

async function placeMap(literals: Readonly<Record<string, Literal>>, folder: string, blob: BlobStore | undefined) {
  const plain: Record<string, unknown> = {};
  const placed: Record<string, Literal> = {};
  for (const [name, literal] of Object.entries(literals)) {
    if (name === '' || name === '.' || name === '..' || name.includes('/'))
      throw invalidArgument(
        `"${name}" cannot be a file of the task's container: rename the input, or the key of the map`,
      );
    const one = await place(literal, join(folder, name), blob);
    plain[name] = one.plain;
    placed[name] = one.literal;
  }
  return { plain, literals: placed };
}

async function place(literal: Literal, path: string, blob: BlobStore | undefined): Promise<Placed> {
  switch (literal.value?.$case) {
    case 'collection': {
      await mkdir(path, { recursive: true });
      const items: Placed[] = [];
      for (const [at, item] of literal.value.value.literals.entries())
        items.push(await place(item, join(path, String(at)), blob));
      const value = { $case: 'collection' as const, value: { literals: items.map((item) => item.literal) } };
      return { plain: items.map((item) => item.plain), literal: { ...literal, value } };
    }
    case 'map': {
      await mkdir(path, { recursive: true });
      const { plain, literals } = await placeMap(literal.value.value.literals, path, blob);
      return { plain, literal: { ...literal, value: { $case: 'map', value: { literals } } } };
    }
    case 'scalar':
      return placeScalar(literal, literal.value.value, path, blob);
    default:
      throw invalidArgument(`the input for ${path} has a value of a kind that a raw container cannot be given`);
  }
}

async function placeScalar(
  literal: Literal,
  scalar: Scalar,
  path: string,
  blob: BlobStore | undefined,
): Promise<Placed> {
  const { value } = scalar;
  const located = (inner: Scalar['value']): Literal => ({
    ...literal,
    value: { $case: 'scalar', value: { value: inner } },
  });
  const written = async (plain: unknown, text: string | Uint8Array): Promise<Placed> => {
    await writeFile(path, text);
    return { plain, literal };
  };
  switch (value?.$case) {
    case 'primitive': {
      const plain = plainPrimitive(value.value);
      return written(plain, String(plain));
    }
    case 'blob':
      await fetchBlob(value.value, path, blob);
      return { plain: path, literal: located({ $case: 'blob', value: { ...value.value, uri: path } }) };
    case 'structuredDataset':
      await fetchFolder(value.value.uri, path, blob);
      return { plain: path, literal: located({ $case: 'structuredDataset', value: { ...value.value, uri: path } }) };
    case 'schema':
      await fetchFolder(value.value.uri, path, blob);
      return { plain: path, literal: located({ $case: 'schema', value: { ...value.value, uri: path } }) };
    case 'union': {
      if (!value.value.value) return written(null, 'null');
      const inner = await place(value.value.value, path, blob);
      return {
        plain: inner.plain,
        literal: located({ $case: 'union', value: { ...value.value, value: inner.literal } }),
      };
    }
    case 'generic':
      return written(value.value ?? {}, JSON.stringify(value.value ?? {}));
    case 'binary': {
      const { tag, value: bytes } = value.value;
      if (tag !== msgpackTag) return written(Buffer.from(bytes).toString('base64'), bytes);
      const plain = msgpackToPlain(msgpackPart(bytes).read());
      return written(
        plain,
        JSON.stringify(plain, (_, item: unknown) => (typeof item === 'bigint' ? exact(item) : item)),
      );
    }
    case 'error':
      return written(value.value.message, value.value.message);
    default:
      return written(null, 'null');
  }
}

function plainPrimitive({ value }: Primitive): unknown {
  switch (value?.$case) {
    case 'datetime':
      return formatTimestamp(value.value);
    case 'duration':
      return formatDuration(value.value);
    default:
      return value?.value ?? null;
  }
}

/** JSON's numbers are exact up to 2^53: what is larger comes as text. */
const exact = (value: bigint): number | string =>
  BigInt(Number(value)) === value && Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();

async function fetchBlob({ uri, metadata }: Blob, path: string, blob: BlobStore | undefined): Promise<void> {
  if (metadata?.type?.dimensionality === BlobType_BlobDimensionality.MULTIPART) return fetchFolder(uri, path, blob);
  if (blob) await fetchFile(uri, path, blob);
}

async function fetchFile(uri: string, path: string, blob: BlobStore): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await pipeline(await blob.stream(uri), createWriteStream(path));
}

/** Everything below a URI; a single object of that name is fetched as a file. */
async function fetchFolder(uri: string, path: string, blob: BlobStore | undefined): Promise<void> {
  if (!blob) return;
  const prefix = `${uri.replace(/\/+$/, '')}/`;
  let found = 0;
  for await (const object of blob.list(prefix)) {
    found++;
    const relative = object.uri.slice(prefix.length);
    if (relative.split('/').includes('..'))
      throw invalidArgument(`${object.uri} cannot be a file of the task's container`);
    await fetchFile(object.uri, join(path, relative), blob);
  }
  if (found > 0) return;
  if (await blob.head(uri)) await fetchFile(uri, path, blob);
  else await mkdir(path, { recursive: true });
}
