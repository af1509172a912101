import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { cp, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { extract } from 'tar';

/** Said when an archive cannot be unpacked: the user's mistake, with its file's name. */
export class BrokenBundle extends Error {}

/**
 * Unpacked code bundles, one folder a digest, from which each attempt gets a copy of its own (shared blocks where the file
 * system can): tasks may write into their working folder without anybody else seeing it.
 */
export class Bundles {
  private readonly unpacking = new Map<string, Promise<string>>();
  /** When an attempt asked for it last; what was used before this process began has its folder's time. */
  private readonly used = new Map<string, number>();
  /** Milliseconds; rises with each use. */
  private latest = 0;
  private readonly held = new Map<string, number>();

  constructor(
    private readonly folder: string,
    /** Bundles kept that no attempt asked for lately. */
    private readonly keep = 50,
  ) {}

  async copyTo(bundle: { path: string; digest: string }, target: string): Promise<void> {
    await this.holding(bundle, (source) =>
      cp(source, target, { recursive: true, mode: constants.COPYFILE_FICLONE, verbatimSymlinks: true }),
    );
  }

  /**
   * Unpacks where the SDK's executor looks for a bundle of this URI before it fetches it itself (ALOFT_BUNDLE_DIR); its tasks
   * share it, since they only read it: the working folder is another.
   */
  async shareAs(bundle: { path: string; digest: string; uri: string }): Promise<void> {
    const digest = createHash('sha256').update(bundle.uri).digest('hex').slice(0, 32);
    await this.holding({ path: bundle.path, digest }, () => Promise.resolve());
  }

  /** It is not dropped while it is copied. */
  private async holding(bundle: { path: string; digest: string }, use: (folder: string) => Promise<void>) {
    const { digest } = bundle;
    this.held.set(digest, (this.held.get(digest) ?? 0) + 1);
    try {
      await use(await this.unpacked(bundle));
    } finally {
      const left = this.held.get(digest)! - 1;
      if (left > 0) this.held.set(digest, left);
      else this.held.delete(digest);
    }
  }

  private unpacked(bundle: { path: string; digest: string }): Promise<string> {
    this.latest = Math.max(Date.now(), this.latest + 0.001);
    this.used.set(bundle.digest, this.latest);
    const known = this.unpacking.get(bundle.digest);
    if (known) return known;
    const unpacking = this.unpack(bundle).catch((error: unknown) => {
      this.unpacking.delete(bundle.digest);
      throw error;
    });
    this.unpacking.set(bundle.digest, unpacking);
    return unpacking;
  }

  private async unpack({ path, digest }: { path: string; digest: string }): Promise<string> {
    const folder = join(this.folder, digest);
    if (existsSync(folder)) {
      const now = new Date();
      await utimes(folder, now, now);
      return folder;
    }
    await mkdir(this.folder, { recursive: true });
    const partial = `${folder}.${process.pid}.partial`;
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    try {
      // Strict: a damaged or cut archive is an error, not a warning. Absolute paths and `..` never leave the folder.
      await extract({ file: path, cwd: partial, strict: true, preserveOwner: false });
      if ((await readdir(partial)).length === 0) throw new Error('it is empty');
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw new BrokenBundle(`The code bundle ${path} cannot be unpacked as a .tar.gz: ${(error as Error).message}.`);
    }
    await rename(partial, folder);
    await this.dropOld();
    return folder;
  }

  private async dropOld(): Promise<void> {
    // Others are being unpacked meanwhile, under names with a dot, and dropped.
    const found = await Promise.all(
      (await readdir(this.folder))
        .filter((name) => name !== 'node_modules' && !name.includes('.'))
        .map(async (name) => ({ name, at: await this.lastUse(name) })),
    );
    const folders = found.filter((folder): folder is { name: string; at: number } => folder.at !== undefined);
    folders.sort((a, b) => b.at - a.at);
    for (const { name } of folders.slice(this.keep)) {
      if (this.held.has(name)) continue;
      this.unpacking.delete(name);
      this.used.delete(name);
      await rm(join(this.folder, name), { recursive: true, force: true });
    }
  }

  /** Milliseconds since 1970; `undefined` if it is gone. */
  private async lastUse(name: string): Promise<number | undefined> {
    const used = this.used.get(name);
    if (used !== undefined) return used;
    try {
      return (await stat(join(this.folder, name))).mtimeMs;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}
