import { randomUUID } from 'node:crypto';
import { constants, type BigIntStats } from 'node:fs';
import { link, lstat, mkdir, open, readdir, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AloftError, failedPrecondition, resourceExhausted } from '@aloft/errors';

/** System error code of a thrown value, e.g. `ENOENT`. */
export function errno(thrown: unknown): string | undefined {
  const code = (thrown as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** What a file is known by: the same three numbers mean the same contents. */
export interface FileIdentity {
  ino: string;
  size: number;
  mtimeNs: string;
}

export function identityOf(stats: BigIntStats): FileIdentity {
  return { ino: String(stats.ino), size: Number(stats.size), mtimeNs: String(stats.mtimeNs) };
}

/** A file being written under a name of its own, invisible until it is placed. */
export interface StagedFile {
  path: string;
  identity: FileIdentity;
}

interface Syncing {
  running: Promise<void>;
  /** Begins when `running` has ended. */
  next: Promise<void> | undefined;
}

/** Writes files so that they are there wholly and durably, or not at all. */
export class DurableFiles {
  /** By folder. */
  private readonly syncing = new Map<string, Syncing>();

  /** `durable: false` leaves syncing to the system (tests). `staging` must be on the file system of all targets. */
  constructor(
    private readonly staging: string,
    private readonly durable: boolean,
  ) {}

  /** Writes all of `source`, synced. RESOURCE_EXHAUSTED on a full disk; the file is gone after any error. */
  async stage(source: Uint8Array | AsyncIterable<Uint8Array>): Promise<StagedFile> {
    const path = join(this.staging, randomUUID());
    const handle = await open(path, 'wx', 0o666).catch((error: unknown) => {
      throw storageError(error, path);
    });
    try {
      if (source instanceof Uint8Array) await handle.writeFile(source);
      else for await (const chunk of source) await handle.writeFile(chunk);
      if (this.durable) await handle.datasync();
      return { path, identity: identityOf(await handle.stat({ bigint: true })) };
    } catch (error) {
      await unlink(path).catch(() => undefined);
      throw storageError(error, path);
    } finally {
      await handle.close();
    }
  }

  /** Like {@link stage}, from a file: shares its blocks where the file system can. */
  async stageCopy(copy: (path: string) => Promise<void>): Promise<StagedFile> {
    const path = join(this.staging, randomUUID());
    try {
      await copy(path);
      const handle = await open(path, 'r+');
      try {
        if (this.durable) await handle.datasync();
        return { path, identity: identityOf(await handle.stat({ bigint: true })) };
      } finally {
        await handle.close();
      }
    } catch (error) {
      await unlink(path).catch(() => undefined);
      throw storageError(error, path);
    }
  }

  /**
   * Gives a staged file its name, atomically and durably. Returns false, and nothing changed, if `ifAbsent` and there is one.
   * FAILED_PRECONDITION where the name is a folder in use, or a part of its path is a file.
   */
  async place(staged: StagedFile, target: string, ifAbsent = false): Promise<boolean> {
    try {
      if (!ifAbsent) await this.inFolder(target, () => rename(staged.path, target));
      else {
        const placed = await this.linkIfAbsent(staged.path, target);
        await this.discard(staged);
        if (!placed) return false;
      }
    } catch (error) {
      await this.discard(staged);
      throw storageError(error, target);
    }
    await this.sync(dirname(target));
    return true;
  }

  async discard(staged: StagedFile): Promise<void> {
    await unlink(staged.path).catch((error: unknown) => {
      if (errno(error) !== 'ENOENT') throw error;
    });
  }

  /** Makes directory entries (names) survive a crash. Those who ask while a folder is being synced share the next time. */
  async sync(folder: string): Promise<void> {
    if (!this.durable) return;
    const under = this.syncing.get(folder);
    if (under) return (under.next ??= under.running.catch(() => undefined).then(() => this.syncNow(folder)));
    return this.syncNow(folder);
  }

  private syncNow(folder: string): Promise<void> {
    const running = syncFolder(folder).finally(() => {
      if (this.syncing.get(folder) === mine && !mine.next) this.syncing.delete(folder);
    });
    const mine: Syncing = { running, next: undefined };
    this.syncing.set(folder, mine);
    return running;
  }

  private async linkIfAbsent(path: string, target: string): Promise<boolean> {
    for (;;)
      try {
        await this.inFolder(target, () => link(path, target));
        return true;
      } catch (error) {
        if (errno(error) !== 'EEXIST') throw error;
        if (!(await lstat(target)).isDirectory()) return false;
        if (!(await removeEmptyFolders(target))) throw folderInTheWay(target);
      }
  }

  private async inFolder(target: string, act: () => Promise<void>): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await act();
      } catch (error) {
        const code = errno(error);
        if (attempt === 3) throw error;
        if (code === 'ENOENT') await this.makeFolder(dirname(target));
        else if (code === 'ENOTDIR') throw fileInTheWay(target);
        else if (code === 'EISDIR' || code === 'ENOTEMPTY') {
          // S3 has no folders: one that holds no object must not stand in the way of a key.
          if (!(await removeEmptyFolders(target))) throw folderInTheWay(target);
        } else throw error;
      }
    }
  }

  /** `mkdir -p` whose new names survive a crash. */
  async makeFolder(folder: string): Promise<void> {
    try {
      await mkdir(folder);
    } catch (error) {
      const code = errno(error);
      if (code === 'EEXIST') {
        if ((await stat(folder)).isDirectory()) return;
        throw fileInTheWay(join(folder, '…'));
      }
      if (code === 'ENOTDIR') throw fileInTheWay(folder);
      if (code !== 'ENOENT') throw storageError(error, folder);
      await this.makeFolder(dirname(folder));
      return this.makeFolder(folder);
    }
    await this.sync(dirname(folder));
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes a tree of folders if no file is in it. */
async function removeEmptyFolders(folder: string): Promise<boolean> {
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (!entry.isDirectory() || !(await removeEmptyFolders(join(folder, entry.name)))) return false;
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    if (errno(error) === 'ENOTEMPTY') return false;
    if (errno(error) === 'ENOENT') return true;
    throw error;
  }
}

function folderInTheWay(path: string): AloftError {
  return failedPrecondition(
    `${path} is a folder of other objects, so it cannot be an object itself on local storage: use another key`,
  );
}

function fileInTheWay(path: string): AloftError {
  return failedPrecondition(
    `a part of the path ${path} is an object itself, so it cannot be a folder on local storage: use another key`,
  );
}

function storageError(error: unknown, path: string): unknown {
  switch (errno(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return resourceExhausted(`no space left for blob storage (${dirname(path)}): nothing was written`, {
        cause: error,
      });
    case 'EFBIG':
      return resourceExhausted('the object is larger than a file may be on this file system', { cause: error });
    case 'ENAMETOOLONG':
      return new AloftError('INVALID_ARGUMENT', `the key is too long for a file's path: ${path}`, { cause: error });
    default:
      return error;
  }
}
