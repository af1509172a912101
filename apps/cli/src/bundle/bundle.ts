import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, stop, type BuildFailure, type Plugin } from 'esbuild';
import { create } from 'tar';
import type { BundleEntry } from '@aloft/sdk/bundle';
import { UsageError } from '../failure.js';

/** A file of tasks and workflows, made into something that runs anywhere. */
export interface Bundle {
  /** The archive, .tar.gz; the same sources give the same bytes. */
  readonly archive: Buffer;
  /** File within it that has the tasks. */
  readonly module: string;
  /** First 12 characters of the archive's SHA-256: what the version is when nobody gives one. */
  readonly digest: string;
  /** Its definitions, loaded. */
  readonly entry: BundleEntry;
  /** Packages that were left out and must be installed where tasks run. */
  readonly external: readonly string[];
}

export interface BundleOptions {
  /** Packages to leave out: those with native code. */
  external?: readonly string[];
}

/**
 * Bundles an entry file with everything that it imports, the SDK included, so that a task needs nothing but Node where it
 * runs. Source maps go along: errors name the author's files and lines.
 */
export async function bundleFile(path: string, options: BundleOptions = {}): Promise<Bundle> {
  const source = resolve(path);
  if (!existsSync(source))
    throw new UsageError(`There is no file ${path}.`, 'Give the path of the file that exports your workflows.');
  const stem = basename(source, extname(source));
  const module = `${stem}.js`;
  const root = projectRoot(source);
  const external = new Set(options.external ?? []);
  const files = await compile(source, stem, root, external);
  const folder = await place(files, root);
  const archive = await pack(folder, [...files.keys()].sort());
  return {
    archive,
    module,
    digest: createHash('sha256').update(archive).digest('hex').slice(0, 12),
    entry: await load(join(folder, module), path),
    external: [...external].sort(),
  };
}

async function compile(
  source: string,
  stem: string,
  root: string,
  external: Set<string>,
): Promise<Map<string, Uint8Array>> {
  const from = `./${basename(source)}`;
  // Nothing is written there: it is only what relative paths in source maps start from, so it must not vary.
  const outdir = join(root, 'bundle');
  try {
    const { outputFiles } = await build({
      stdin: {
        contents: `import * as exports from ${JSON.stringify(from)};
import { bundleEntry } from '@aloft/sdk/bundle';
export * from ${JSON.stringify(from)};
export const __aloft = bundleEntry(exports, ${JSON.stringify(stem)});
`,
        resolveDir: dirname(source),
        sourcefile: `${stem}.entry.js`,
        loader: 'js',
      },
      entryNames: stem,
      chunkNames: 'chunk-[hash]',
      absWorkingDir: root,
      outdir,
      bundle: true,
      write: false,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'linked',
      legalComments: 'none',
      logLevel: 'silent',
      // CommonJS packages within an ES module still call require for Node's own modules.
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
      },
      plugins: [leaveOut(external)],
    });
    return new Map(
      outputFiles
        .map((file): [string, Uint8Array] => [relative(outdir, file.path), file.contents])
        .map(([name, contents]) => [name === 'stdin.js' ? `${stem}.js` : name, contents]),
    );
  } catch (failure) {
    const { errors } = failure as Partial<BuildFailure>;
    if (!errors) throw failure;
    const lines = errors.map(({ text, location }) =>
      location ? `${location.file}:${location.line}:${location.column + 1}: ${text}` : text,
    );
    const hint = lines.some((line) => line.includes('.node'))
      ? 'A package has native code: name it with --external, and install it where the tasks run.'
      : undefined;
    throw new UsageError(`${relative(process.cwd(), source)} cannot be bundled:\n${lines.join('\n')}`, hint);
  } finally {
    // Its process would be there until ours ends, and be found dead by whoever looks then.
    await stop();
  }
}

const packageOf = (specifier: string): string => /^(@[^/]+\/[^/]+|[^/]+)/.exec(specifier)![0];

/** Leaves out what was named, and what a package only tries to load: an optional dependency that is not installed. */
function leaveOut(external: Set<string>): Plugin {
  const looking = Symbol('looking');
  return {
    name: 'aloft-leave-out',
    setup(context) {
      context.onResolve({ filter: /^[^./]/ }, async (request) => {
        if (request.pluginData === looking || request.path.startsWith('node:')) return undefined;
        const name = packageOf(request.path);
        if (external.has(name)) return { path: request.path, external: true };
        if (!request.importer.includes('node_modules')) return undefined;
        const { path, importer, kind, resolveDir, namespace } = request;
        const found = await context.resolve(path, { importer, kind, resolveDir, namespace, pluginData: looking });
        return found.errors.length > 0 ? { path, external: true } : found;
      });
    },
  };
}

/** The nearest folder with a package.json: paths in source maps are relative to it. */
function projectRoot(source: string): string {
  for (let folder = dirname(source); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (dirname(folder) === folder) return dirname(source);
  }
}

/** Writes the files where they can be loaded: below a node_modules, so that packages left out are found. */
async function place(files: ReadonlyMap<string, Uint8Array>, root: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of [...files.keys()].sort()) hash.update(`${name}\0`).update(files.get(name)!);
  const cache = await cacheFolder(root);
  const folder = join(cache, hash.digest('hex').slice(0, 24));
  if (existsSync(folder)) return folder;
  const staging = await mkdtemp(`${folder}.`);
  for (const [name, contents] of files) await writeFile(join(staging, name), contents);
  await writeFile(join(staging, 'package.json'), '{"type":"module"}\n');
  await rename(staging, folder).catch(async (error: NodeJS.ErrnoException) => {
    await rm(staging, { recursive: true, force: true });
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  return folder;
}

async function cacheFolder(root: string): Promise<string> {
  for (let folder = root; ; folder = dirname(folder)) {
    const modules = join(folder, 'node_modules');
    if (existsSync(modules)) {
      const cache = join(modules, '.cache', 'aloft');
      try {
        await mkdir(cache, { recursive: true });
        return cache;
      } catch {
        // A read-only installation: the system's own folder does, unless packages were left out.
        break;
      }
    }
    if (dirname(folder) === folder) break;
  }
  const cache = join(tmpdir(), 'aloft-bundle-cache');
  await mkdir(cache, { recursive: true });
  return cache;
}

async function pack(folder: string, names: readonly string[]): Promise<Buffer> {
  const staging = await mkdtemp(join(tmpdir(), 'aloft-pack-'));
  try {
    const file = join(staging, 'bundle.tar.gz');
    // package.json goes along: without it Node would take .js for CommonJS.
    await create({ file, cwd: folder, gzip: { level: 6 }, portable: true, mtime: new Date(0) }, [
      'package.json',
      ...names,
    ]);
    return await readFile(file);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function load(path: string, shown: string): Promise<BundleEntry> {
  process.setSourceMapsEnabled(true);
  const loaded = (await import(pathToFileURL(path).href)) as { __aloft: BundleEntry };
  if (loaded.__aloft.entities.size === 0)
    throw new UsageError(
      `${shown} exports no task, workflow or launch plan.`,
      'Export what is to be registered: `export const train = task({ … }, …)`.',
    );
  return loaded.__aloft;
}
