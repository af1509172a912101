import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '@aloft/blob';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { ContainerError_Kind, ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import { IOStrategy_UploadMode } from '@aloft/idl/flyteidl/core/tasks';
import { type Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { BlobType_BlobDimensionality, type LiteralType, SimpleType } from '@aloft/idl/flyteidl/core/types';
import { formatType, literalOf, parseDuration, parseTimestamp } from '@aloft/literals';
import type { DataPlace } from './data-place.js';

/** A file with this name says that the task failed, and why. */
const errorFile = '_ERROR';
/** Longest text of a value; more belongs into a file output. */
const maxValueBytes = 1024 * 1024;

/** What belongs below the attempt's output prefix. */
export interface CollectedFile {
  name: 'outputs.pb' | 'error.pb';
  bytes: Uint8Array;
}

/** What a raw container left is not what its interface declares. */
class Unfit extends Error {}

/**
 * Reads the outputs of a raw container that exited well, as Flyte's copilot does: a file for each, named by it. Files and folders go below
 * the attempt's raw data prefix, values into the literals of `outputs.pb`. If it left something else, that is an `error.pb`.
 */
export async function collectData(launch: LaunchTask, blob: BlobStore, folders: DataPlace): Promise<CollectedFile> {
  const said = await readIfThere(join(folders.outputs, errorFile));
  if (said !== undefined) return errorOf('ContainerFailed', said.trim() || `The task wrote an empty ${errorFile}.`);
  const uploads = folders.config.ioStrategy?.uploadMode !== IOStrategy_UploadMode.DO_NOT_UPLOAD;
  const literals: Record<string, Literal> = {};
  try {
    for (const [name, { type }] of Object.entries(launch.template?.interface?.outputs?.variables ?? {})) {
      const place = {
        path: join(folders.outputs, name),
        name,
        shown: `${folders.config.outputPath.replace(/\/+$/, '')}/${name}`,
      };
      const uri = `${launch.rawOutputPrefix.replace(/\/+$/, '')}/${name}`;
      literals[name] = await collect(type, place, uri, uploads ? blob : undefined);
    }
  } catch (error) {
    if (error instanceof Unfit) return errorOf('OutputsMalformed', error.message);
    throw error;
  }
  return { name: 'outputs.pb', bytes: LiteralMap.encode({ literals }).finish() };
}

function errorOf(code: string, message: string): CollectedFile {
  const kind = ContainerError_Kind.NON_RECOVERABLE;
  const origin = ExecutionError_ErrorKind.USER;
  const error = { code, message, kind, origin, timestamp: undefined, worker: '' };
  return { name: 'error.pb', bytes: ErrorDocument.encode({ error }).finish() };
}

/** Why a task's outputs can't come from files; `undefined` if they can. */
export function cannotCollect(launch: LaunchTask): string | undefined {
  for (const [name, { type }] of Object.entries(launch.template?.interface?.outputs?.variables ?? {}))
    if (!['simple', 'blob', 'enumType'].includes(type?.type?.$case ?? ''))
      return `Output "${name}" of the raw container is ${type ? formatType(type) : 'of no type'}: outputs that are files of a container are scalars, structs, files and directories.`;
  return undefined;
}

interface Place {
  path: string;
  name: string;
  /** As the task's author knows it. */
  shown: string;
}

async function collect(
  type: LiteralType | undefined,
  place: Place,
  uri: string,
  blob: BlobStore | undefined,
): Promise<Literal> {
  const found = await stat(place.path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT')
      throw new Unfit(`The task ended well, but did not write its output "${place.name}" to ${place.shown}.`);
    throw error;
  });
  if (type?.type?.$case === 'blob') {
    const multipart = type.type.value.dimensionality === BlobType_BlobDimensionality.MULTIPART;
    if (multipart !== found.isDirectory())
      throw new Unfit(`${place.shown} must be a ${multipart ? 'directory' : 'file'}, which its interface declares.`);
    if (blob) await (multipart ? uploadFolder(place.path, uri, blob) : upload(place.path, uri, blob));
    return literalOf.blob(uri, type.type.value.format, type.type.value.dimensionality);
  }
  if (found.isDirectory()) throw new Unfit(`${place.shown} must be a file, but it is a directory.`);
  if (found.size > maxValueBytes)
    throw new Unfit(
      `${place.shown} has ${found.size} bytes, and a value may have ${maxValueBytes}: declare it as a file.`,
    );
  return valueOf(type, await readFile(place.path, 'utf8'), place);
}

function valueOf(type: LiteralType | undefined, text: string, { shown }: Place): Literal {
  const word = text.trim();
  const wrong = (example: string) =>
    new Unfit(
      `${shown} must be ${type ? formatType(type) : 'a value'} like ${example}, but it is ${JSON.stringify(word.slice(0, 100))}.`,
    );
  if (type?.type?.$case === 'enumType') {
    if (!type.type.value.values.includes(word)) throw wrong(type.type.value.values.join(' or '));
    return literalOf.string(word);
  }
  switch (type?.type?.$case === 'simple' ? type.type.value : undefined) {
    case SimpleType.STRING:
      return literalOf.string(text);
    case SimpleType.INTEGER: {
      if (!/^[+-]?\d+$/.test(word) || BigInt.asIntN(64, BigInt(word)) !== BigInt(word)) throw wrong('42');
      return literalOf.integer(BigInt(word));
    }
    case SimpleType.FLOAT: {
      const number = { nan: NaN, inf: Infinity, '-inf': -Infinity }[word.toLowerCase()] ?? Number(word);
      if (word === '' || (Number.isNaN(number) && word.toLowerCase() !== 'nan')) throw wrong('0.5');
      return literalOf.float(number);
    }
    case SimpleType.BOOLEAN:
      if (!/^(true|false|1|0)$/i.test(word)) throw wrong('true');
      return literalOf.boolean(/^(true|1)$/i.test(word));
    case SimpleType.DATETIME: {
      const time = parseTimestamp(word);
      if (!time) throw wrong('2026-11-23T20:15:00Z');
      return literalOf.datetime(time);
    }
    case SimpleType.DURATION: {
      const span = parseDuration(word);
      if (!span) throw wrong('1h30m');
      return literalOf.duration(span);
    }
    case SimpleType.STRUCT:
      return literalOf.struct(struct(word, wrong));
    case SimpleType.NONE:
      return literalOf.none();
    default:
      throw wrong('a scalar');
  }
}

function struct(text: string, wrong: (example: string) => Unfit): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong('{"a": 1}');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('{"a": 1}');
  return value as Record<string, unknown>;
}

async function upload(path: string, uri: string, blob: BlobStore): Promise<void> {
  await blob.put(uri, createReadStream(path));
}

async function uploadFolder(path: string, uri: string, blob: BlobStore): Promise<void> {
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    await upload(file, `${uri}/${file.slice(path.length + 1)}`, blob);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
