import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const root = join(import.meta.dirname, '..', '..', '..');

/** Sources below these folders, of specs and tests those aside, with their texts. */
function sources(...folders: string[]): { path: string; text: string }[] {
  return folders
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.spec.ts'))
    .map(({ parentPath, name }) => relative(root, join(parentPath, name)))
    .filter((path) => !/(^|\/)(dist|node_modules|gen|testing)\//.test(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

const importsOf = (text: string): string[] => [...text.matchAll(/from '([^']+)'/g)].map(([, from]) => from as string);
const foldersOf = (folder: string) =>
  readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

describe('adding a backend needs no change outside its own folder and configuration', () => {
  const backends = foldersOf('libs/backends');
  const rest = sources('apps', 'libs', 'bench').filter(({ path }) => !/^(libs\/backends|apps\/backends)\//.test(path));

  it('nothing but the app that configures backends imports one, or does anything by the name of one', () => {
    expect(backends.length).toBeGreaterThan(3);
    expect(rest.length).toBeGreaterThan(300);
    const names = [...backends, 'aws-batch', 'local-process'].filter((name) => name !== 'spark');
    // `spark` is a task type as well.
    const named = new RegExp(`['"](${[...new Set(names)].join('|')})['"]`);
    const found = rest.filter(
      ({ text }) => importsOf(text).some((from) => /^@aloft\/backend-(?!kit)/.test(from)) || named.test(text),
    );
    expect(found.map(({ path }) => path)).toEqual([]);
  });

  it('the example uses the contract alone, and nobody knows it', () => {
    const example = 'examples/job-server-backend';
    const used = new Set(sources(`${example}/src`).flatMap(({ text }) => importsOf(text)));
    const ours = [...used].filter((from) => from.startsWith('@aloft/')).map((from) => from.split('/')[1]);
    const contract = ['backend-kit', 'blob', 'errors', 'idl', 'telemetry'];
    expect([...new Set(ours)].filter((name) => !contract.includes(name ?? ''))).toEqual([]);
    const all = [...rest, ...sources('apps/backends', 'libs/backends')];
    expect(all.filter(({ text }) => /job-server/.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it('backends are strangers to each other, but for the drivers of spark, which are processes (0115)', () => {
    const found = sources('libs/backends').flatMap(({ path, text }) => {
      const own = path.split('/')[2];
      const others = importsOf(text).filter((from) => /^@aloft\/backend-(?!kit)/.test(from));
      return others.map((from) => `${own} → ${from}`);
    });
    expect([...new Set(found)]).toEqual(['spark → @aloft/backend-local-process']);
  });
});
