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

  constructor(
    private readonly folder: string,
    /** Bundles kept that no attempt asked for lately. */
    private readonly keep = 50,
  ) {}

  async copyTo(bundle: { path: string; digest: string }, target: string): Promise<void> {
    const source = await this.unpacked(bundle);
    await cp(source, target, { recursive: true, mode: constants.COPYFILE_FICLONE, verbatimSymlinks: true });
  }

  /**
   * Unpacks where the SDK's executor looks for a bundle of this URI before it fetches it itself (ALOFT_BUNDLE_DIR); its tasks
   * share it, since they only read it: the working folder is another.
   */
  async shareAs(bundle: { path: string; digest: string; uri: string }): Promise<void> {
    await this.unpacked({
      path: bundle.path,
      digest: createHash('sha256').update(bundle.uri).digest('hex').slice(0, 32),
    });
  }

  private unpacked(bundle: { path: string; digest: string }): Promise<string> {
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
    const folders = await Promise.all(
      (await readdir(this.folder))
        .filter((name) => name !== 'node_modules')
        .map(async (name) => ({ name, at: (await stat(join(this.folder, name))).mtimeMs })),
    );
    folders.sort((a, b) => b.at - a.at);
    for (const { name } of folders.slice(this.keep)) {
      this.unpacking.delete(name);
      await rm(join(this.folder, name), { recursive: true, force: true });
    }
  }
}
