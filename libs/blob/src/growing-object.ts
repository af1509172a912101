import { createReadStream } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { AloftError } from '@aloft/errors';
import type { BlobInfo, BlobStore } from './port.js';

// Object storage cannot append. What grows is kept as parts `<uri>.part-<run>-<number>` while it does, then as one object
// under its own name, and the parts go. `run` rises when somebody else begins it anew.

const partPrefix = (uri: string): string => `${uri}.part-`;
const partUri = (uri: string, run: number, part: number): string =>
  `${partPrefix(uri)}${String(run).padStart(3, '0')}-${String(part).padStart(6, '0')}`;
const runOf = (uri: string): number => Number.parseInt(uri.slice(uri.lastIndexOf('.part-') + 6), 10);

const runMetadata = 'aloft-run';
/** Read into memory at once at most. */
const stepBytes = 256 * 1024;
const smallBytes = 8 * 2 ** 20;

export interface GrowingObjectOptions {
  uri: string;
  /** The file that grows. */
  path: string;
  run: number;
  /** Whether anything may still be written: asked before each write. */
  mayWrite: () => boolean;
  /** Milliseconds between two looks at the file (default 1,000); longer the longer it grows, ten times at most. */
  everyMs?: number;
  /** Bytes kept as parts at most (default 64 MiB); what comes beyond is seen at the end. */
  maxBytes?: number;
  onError: (error: unknown) => void;
}

/** Brings a growing file to where others can follow it: at most one part a second and four times 256 KiB at once. */
export class GrowingObject {
  private offset = 0;
  private readonly parts: string[] = [];
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly blob: BlobStore,
    private readonly options: GrowingObjectOptions,
  ) {}

  start(): void {
    if (this.stopped) return;
    const { everyMs = 1_000 } = this.options;
    // A part a second at first; something that has grown for long is looked at less often.
    this.timer = setTimeout(() => void this.look(), everyMs * Math.min(10, 1 + this.parts.length / 30)).unref();
  }

  /** No more parts. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.writing;
  }

  /** After {@link stop}: the whole object, then without its parts. Rejects if it could not be written. */
  async finish(): Promise<void> {
    const { uri, path, run, onError } = this.options;
    const size = await sizeOf(path);
    if (size === undefined) return;
    const metadata = { [runMetadata]: String(run) };
    await this.blob.put(uri, size > smallBytes ? createReadStream(path) : await readFile(path), {
      contentType: 'text/plain; charset=utf-8',
      metadata,
    });
    await Promise.all(this.parts.splice(0).map((part) => this.blob.delete(part).catch(onError)));
  }

  private look(): Promise<void> {
    this.writing = this.writing
      .then(() => this.write())
      .catch(this.options.onError)
      .then(() => this.start());
    return this.writing;
  }

  private async write(): Promise<void> {
    const { uri, path, run, mayWrite, maxBytes = 64 * 2 ** 20 } = this.options;
    for (let pieces = 0; pieces < 4 && this.offset < maxBytes; pieces++) {
      const bytes = await readPiece(path, this.offset);
      if (bytes.length === 0 || this.stopped || !mayWrite()) return;
      const part = partUri(uri, run, this.parts.length + 1);
      await this.blob.put(part, bytes);
      this.parts.push(part);
      this.offset += bytes.length;
    }
  }
}

export interface FollowObjectOptions {
  /** Goes on until this is aborted, then to the end of the whole object; absent: what there is. */
  until?: AbortSignal;
  /** The reader has gone. */
  signal: AbortSignal;
  /** Only the last so many lines of what there is at first; 0 = all. */
  tailLines?: number;
  /** Milliseconds between two looks for parts (default 1,000), one list each. */
  everyMs?: number;
}

/** The bytes of an object while it grows, wherever it is written; yields nothing for one that never appears. */
export async function* followObject(
  blob: BlobStore,
  uri: string,
  { until, signal, tailLines = 0, everyMs = 1_000 }: FollowObjectOptions,
): AsyncGenerator<Uint8Array> {
  let run = -1;
  let sent = 0;
  let last: string | undefined;
  for (let first = true; !signal.aborted; first = false) {
    // Before the look: what was written until then is still found.
    const over = until === undefined || until.aborted;
    const whole = over || first ? await blob.head(uri) : undefined;
    if (whole) {
      const same = Number(whole.metadata[runMetadata] ?? run) === run;
      const from = first && tailLines > 0 ? await startOfTail(blob, [whole], tailLines) : same ? sent : 0;
      for await (const piece of objectFrom(blob, whole, from)) {
        if (signal.aborted) return;
        yield piece;
      }
      // Complete, unless somebody begins it anew.
      if (over) return;
      run = Number(whole.metadata[runMetadata] ?? run);
      sent = whole.size;
    }
    const parts: BlobInfo[] = [];
    for await (const part of blob.list(partPrefix(uri), last === undefined ? {} : { startAfter: last }))
      if (runOf(part.uri) > run || !whole) parts.push(part);
    let skip = first && tailLines > 0 && !whole ? await startOfTail(blob, parts, tailLines) : 0;
    for (const part of parts) {
      if (runOf(part.uri) !== run) sent = 0;
      run = runOf(part.uri);
      last = part.uri;
      sent += part.size;
      if (skip < part.size) {
        const bytes = await getIfThere(blob, part.uri);
        // Gone because the whole is there: the end of the attempt brings the rest.
        if (bytes === undefined) {
          sent -= part.size;
          break;
        }
        if (signal.aborted) return;
        yield bytes.subarray(Math.max(0, skip));
      }
      skip = Math.max(0, skip - part.size);
    }
    if (over) return;
    await delay(everyMs, undefined, { signal: AbortSignal.any([until, signal]) }).catch(() => undefined);
  }
}

async function* objectFrom(blob: BlobStore, { uri, size }: BlobInfo, from: number): AsyncGenerator<Uint8Array> {
  if (from >= size) return;
  for await (const piece of await blob.stream(uri, { start: from })) yield piece as Uint8Array;
}

/** Offset at which the last so many lines begin in these objects one after the other. */
async function startOfTail(blob: BlobStore, objects: readonly BlobInfo[], lines: number): Promise<number> {
  let missing = lines;
  let isLastByte = true;
  let before = objects.reduce((sum, { size }) => sum + size, 0);
  for (const { uri, size } of [...objects].reverse()) {
    before -= size;
    for (let end = size; end > 0; end -= stepBytes) {
      const start = Math.max(0, end - stepBytes);
      const bytes = await collect(await blob.stream(uri, { start, end: end - 1 }));
      for (let i = bytes.length - 1; i >= 0; i--) {
        // The newline that ends it ends its last line; it doesn't begin another.
        if (bytes[i] === 10 && !isLastByte && --missing === 0) return before + start + i + 1;
        isLastByte = false;
      }
    }
  }
  return 0;
}

async function collect(stream: AsyncIterable<unknown>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces);
}

async function getIfThere(blob: BlobStore, uri: string): Promise<Uint8Array | undefined> {
  try {
    return await blob.get(uri);
  } catch (error) {
    if (error instanceof AloftError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function readPiece(path: string, offset: number): Promise<Uint8Array> {
  let file;
  try {
    file = await open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  try {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(stepBytes), 0, stepBytes, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
