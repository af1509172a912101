import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Version, build and time of this binary. */
export class BuildInformation {
  constructor(
    readonly version: string,
    readonly build: string,
    readonly time: string,
  ) {}

  /** From the package and the time at which its files were made; ALOFT_BUILD names the commit, where a build sets it. */
  static ofThisPackage(): BuildInformation {
    const file = join(import.meta.dirname, '..', '..', 'package.json');
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
    return new BuildInformation(
      version,
      process.env.ALOFT_BUILD ?? '',
      statSync(import.meta.filename).mtime.toISOString(),
    );
  }
}
