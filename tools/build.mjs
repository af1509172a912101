// Builds every project: generates libs/idl, then transpiles src/**/*.ts to dist/**/*.js (types are `npm run types`' part)
// and copies other files of src beside them. Only what is newer than its output is done again; --watch keeps going.
import { transformFile } from '@swc/core';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { projects, root } from './projects.mjs';

const compilerChanged = statSync(import.meta.filename).mtimeMs;
const options = {
  swcrc: false,
  sourceMaps: true,
  module: { type: 'es6' },
  jsc: {
    target: 'es2022',
    parser: { syntax: 'typescript', decorators: true, tsx: true },
    transform: {
      legacyDecorator: true,
      decoratorMetadata: true,
      useDefineForClassFields: false,
      react: { runtime: 'automatic' },
    },
  },
};

export async function build() {
  execFileSync(process.execPath, [join(root, 'libs/idl/scripts/generate.mjs')], { stdio: 'inherit' });
  const jobs = projects().flatMap(({ folder }) => filesOf(join(root, folder)));
  let done = 0;
  let next = 0;
  const worker = async () => {
    while (next < jobs.length) if (await compile(jobs[next++])) done++;
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return done;
}

function filesOf(project) {
  const src = join(project, 'src');
  const dist = join(project, 'dist');
  if (!existsSync(src)) return [];
  const jobs = readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(spec|db\.spec)\.tsx?$|\.d\.ts$/.test(entry.name))
    .map((entry) => {
      const source = join(entry.parentPath, entry.name);
      return { source, target: join(dist, relative(src, source)).replace(/\.tsx?$/, '.js') };
    });
  const wanted = new Set(jobs.flatMap((job) => [job.target, `${job.target}.map`]));
  if (existsSync(dist))
    for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && !wanted.has(path)) rmSync(path);
    }
  return jobs;
}

async function compile({ source, target }) {
  const changed = Math.max(statSync(source).mtimeMs, compilerChanged);
  if (existsSync(target) && statSync(target).mtimeMs > changed) return false;
  mkdirSync(dirname(target), { recursive: true });
  if (!/\.tsx?$/.test(source)) {
    copyFileSync(source, target);
    return true;
  }
  const { code, map } = await transformFile(source, { ...options, sourceFileName: relative(dirname(target), source) });
  writeFileSync(target, `${code}//# sourceMappingURL=${basename(target)}.map\n`);
  if (map) writeFileSync(`${target}.map`, map);
  return true;
}

if (process.argv[1] === import.meta.filename) {
  const started = Date.now();
  const count = await build();
  if (count > 0 || !process.argv.includes('--quiet'))
    console.log(`built ${count} files in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  if (process.argv.includes('--watch')) {
    let timer;
    for (const { folder } of projects())
      if (existsSync(join(root, folder, 'src')))
        watch(join(root, folder, 'src'), { recursive: true }, () => {
          clearTimeout(timer);
          timer = setTimeout(
            () =>
              build().then(
                (n) => n && console.log(`built ${n} files`),
                (error) => console.error(String(error)),
              ),
            50,
          );
        });
  }
}
