import { createHash } from 'node:crypto';
import { readFile, unlink, writeFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errno, type DurableFiles, type FileIdentity } from './durable-files.js';

/** What a file cannot say about its object. */
export interface SidecarData {
  etag: string;
  contentType?: string;
  metadata: Record<string, string>;
}

/**
 * Keeps what belongs to an object beside its file, in a folder of its own: `<folder>/<bucket>/<hash of the key>.<inode>`.
 * The inode in the name makes a replacement atomic: until the new file has its name, the old one's sidecar holds. A file that
 * a process changed in place no longer fits its sidecar, which is then ignored.
 */
export class Sidecars {
  constructor(
    private readonly folder: string,
    private readonly files: DurableFiles,
  ) {}

  /** Before the file gets its name. `lasting`: survives a crash (metadata); otherwise it can be computed again (etag). */
  async write(bucket: string, key: string, identity: FileIdentity, data: SidecarData, lasting: boolean): Promise<void> {
    const path = this.path(bucket, key, identity.ino);
    const bytes = Buffer.from(JSON.stringify({ ...data, size: identity.size, mtimeNs: identity.mtimeNs, key }));
    if (lasting) {
      await this.files.place(await this.files.stage(bytes), path);
      return;
    }
    const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
    try {
      await writeFile(temporary, bytes);
    } catch (error) {
      if (errno(error) !== 'ENOENT') throw error;
      await this.files.makeFolder(dirname(path));
      await writeFile(temporary, bytes);
    }
    await rename(temporary, path);
  }

  async read(bucket: string, key: string, identity: FileIdentity): Promise<SidecarData | undefined> {
    let text: string;
    try {
      text = await readFile(this.path(bucket, key, identity.ino), 'utf8');
    } catch (error) {
      if (errno(error) === 'ENOENT') return undefined;
      throw error;
    }
    let stored: SidecarData & { size: number; mtimeNs: string };
    try {
      stored = JSON.parse(text) as typeof stored;
    } catch {
      // Torn by a crash: it held nothing lasting (see `write`).
      return undefined;
    }
    return stored.size === identity.size && stored.mtimeNs === identity.mtimeNs ? stored : undefined;
  }

  async remove(bucket: string, key: string, ino: string): Promise<void> {
    await unlink(this.path(bucket, key, ino)).catch((error: unknown) => {
      if (errno(error) !== 'ENOENT') throw error;
    });
  }

  private path(bucket: string, key: string, ino: string): string {
    const hash = createHash('sha256').update(key).digest('hex');
    return join(this.folder, bucket, hash.slice(0, 2), `${hash.slice(2, 40)}.${ino}`);
  }
}
