import { watch } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

const chunkBytes = 64 * 1024;

export interface FollowOptions {
  /** Only the last so many lines of what there is; 0 = all. */
  tailLines: number;
  /** Goes on until this is aborted and the file has been read to its end; `undefined`: what there is. */
  until: AbortSignal | undefined;
  /** The reader has gone. */
  signal: AbortSignal;
}

/** The bytes of a file as they are written; yields nothing for a file that never appears. */
export async function* followFile(path: string, options: FollowOptions): AsyncGenerator<Buffer> {
  const { until, signal } = options;
  const changes = until ? new Changes(path, until, signal) : undefined;
  let file: FileHandle | undefined;
  try {
    await changes?.start();
    let position = 0;
    for (;;) {
      // Read before the last look at the file: what was written until then is still read.
      const over = until === undefined || until.aborted;
      changes?.reset();
      file ??= await openIfThere(path);
      if (file && position === 0 && options.tailLines > 0) position = await startOfTail(file, options.tailLines);
      if (file)
        for (;;) {
          if (signal.aborted) return;
          const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, position);
          if (bytesRead === 0) break;
          position += bytesRead;
          yield buffer.subarray(0, bytesRead);
        }
      if (over || signal.aborted) return;
      await changes?.next();
    }
  } finally {
    changes?.stop();
    await file?.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Offset at which the last so many lines begin. */
async function startOfTail(file: FileHandle, lines: number): Promise<number> {
  let position = (await file.stat()).size;
  let missing = lines;
  let isLastByte = true;
  while (position > 0) {
    const length = Math.min(chunkBytes, position);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, position - length);
    for (let i = length - 1; i >= 0; i--) {
      // The newline that ends the file ends its last line; it doesn't begin another.
      if (buffer[i] === 10 && !isLastByte && --missing === 0) return position - length + i + 1;
      isLastByte = false;
    }
    position -= length;
  }
  return 0;
}

/** Tells of changes of a file, and of the two signals. */
class Changes {
  private watcher: ReturnType<typeof watch> | undefined;
  private changed = false;
  private wake: (() => void) | undefined;
  private readonly notify = () => {
    this.changed = true;
    this.wake?.();
  };

  constructor(
    private readonly path: string,
    private readonly until: AbortSignal,
    private readonly signal: AbortSignal,
  ) {}

  async start(): Promise<void> {
    const folder = dirname(this.path);
    await mkdir(folder, { recursive: true });
    this.watcher = watch(folder, this.notify);
    this.until.addEventListener('abort', this.notify);
    this.signal.addEventListener('abort', this.notify);
  }

  reset(): void {
    this.changed = false;
  }

  async next(): Promise<void> {
    if (this.changed || this.signal.aborted || this.until.aborted) return;
    await new Promise<void>((resolve) => (this.wake = resolve));
    this.wake = undefined;
  }

  stop(): void {
    this.watcher?.close();
    this.until.removeEventListener('abort', this.notify);
    this.signal.removeEventListener('abort', this.notify);
  }
}
