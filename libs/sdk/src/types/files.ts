import { createReadStream } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { BlobType_BlobDimensionality, LiteralType } from '@aloft/idl/flyteidl/core/types';
import { DataType, kindOfLiteral, mismatch, show, type Loose } from './data-type.js';
import { noTransfer, type FileTransfer } from './file-transfer.js';

const isUri = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
const fileBrand = Symbol.for('aloft.sdk.file');
const directoryBrand = Symbol.for('aloft.sdk.directory');

abstract class StoredReference {
  #local: Promise<string> | undefined;

  protected constructor(
    /** Path on this machine, or URI in blob storage. */
    readonly location: string,
    private readonly transfer: FileTransfer,
    private readonly multipart: boolean,
  ) {}

  get isRemote(): boolean {
    return isUri(this.location);
  }

  /** Local path; brought here on the first call. */
  path(): Promise<string> {
    this.#local ??= this.isRemote
      ? this.transfer.download(this.location, this.multipart)
      : Promise.resolve(isAbsolute(this.location) ? this.location : resolve(this.location));
    return this.#local;
  }
}

/** A file: made from a local path by a task, or handed to it as a lazy reference. */
export class FlyteFile extends StoredReference {
  readonly [fileBrand] = true;

  constructor(location: string, transfer: FileTransfer = noTransfer) {
    super(location, transfer, false);
  }

  async bytes(): Promise<Uint8Array> {
    return readFile(await this.path());
  }

  async text(): Promise<string> {
    return readFile(await this.path(), 'utf8');
  }

  async json<T = unknown>(): Promise<T> {
    return JSON.parse(await this.text()) as T;
  }

  async stream(): Promise<Readable> {
    return createReadStream(await this.path());
  }
}

/** A folder of files. */
export class FlyteDirectory extends StoredReference {
  readonly [directoryBrand] = true;

  constructor(location: string, transfer: FileTransfer = noTransfer) {
    super(location, transfer, true);
  }

  /** Paths of its files, relative to it, sorted. */
  async list(): Promise<string[]> {
    const root = await this.path();
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => resolve(entry.parentPath, entry.name).slice(resolve(root).length + 1))
      .sort();
  }
}

function blob<V extends StoredReference, W>(
  kind: 'file' | 'directory',
  format: string,
  brand: symbol,
  make: (location: string, transfer: FileTransfer) => V,
): DataType<V, W, false> {
  const dimensionality = kind === 'file' ? BlobType_BlobDimensionality.SINGLE : BlobType_BlobDimensionality.MULTIPART;
  const label = format ? `${format} ${kind}` : kind;
  return new DataType<V, W, false>({
    label,
    literalType: LiteralType.fromPartial({ type: { $case: 'blob', value: { format, dimensionality } } }),
    check: (value, path) => {
      if (typeof value === 'string') return make(value, noTransfer);
      if (typeof value !== 'object' || value === null || !(brand in value))
        throw mismatch(
          path,
          `a ${label} (a path, a URI or a ${kind === 'file' ? 'FlyteFile' : 'FlyteDirectory'})`,
          show(value),
        );
      return value as V;
    },
    toLiteral: async (value, transfer) => {
      const uri = value.isRemote ? value.location : await transfer.upload(await value.path(), kind === 'directory');
      return Literal.fromPartial({
        value: {
          $case: 'scalar',
          value: { value: { $case: 'blob', value: { uri, metadata: { type: { format, dimensionality } } } } },
        },
      });
    },
    fromLiteral: (literal, transfer, path) => {
      const scalar = literal.value?.$case === 'scalar' ? literal.value.value.value : undefined;
      if (scalar?.$case !== 'blob') throw mismatch(path, label, kindOfLiteral(literal));
      return make(scalar.value.uri, transfer);
    },
  });
}

/** A file, optionally of a format ('csv', 'parquet', …). Two formats only fit if they are equal or one is left out. */
export function file(): DataType<FlyteFile, { file: Loose }, false>;
export function file<const F extends string>(format: F): DataType<FlyteFile, { file: F }, false>;
export function file(format = ''): DataType<FlyteFile, unknown, false> {
  return blob('file', format, fileBrand, (location, transfer) => new FlyteFile(location, transfer));
}

/** A folder, optionally of a format. */
export function directory(): DataType<FlyteDirectory, { directory: Loose }, false>;
export function directory<const F extends string>(format: F): DataType<FlyteDirectory, { directory: F }, false>;
export function directory(format = ''): DataType<FlyteDirectory, unknown, false> {
  return blob('directory', format, directoryBrand, (location, transfer) => new FlyteDirectory(location, transfer));
}
