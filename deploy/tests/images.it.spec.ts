import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire, builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { run } from './chart.js';
import { serviceNames } from './services.js';

const script = fileURLToPath(new URL('../../tools/image.mjs', import.meta.url));
const dockerfile = fileURLToPath(new URL('../Dockerfile', import.meta.url));
const apps = [...serviceNames, 'standalone'];
/** Of what lies in an image besides Node; standalone has Postgres in it, and what has backends the Kubernetes client. */
const mostMegabytes = (app: string): number => ({ standalone: 160, backends: 80 })[app] ?? 50;
/** `import … from 'x'`, `export … from 'x'`, `import 'x'`, `import('x')`. */
const imports = /^(?:import|export)\s(?:[^'"`;=]*\sfrom\s)?['"]([^'"]+)['"]|\bimport\(['"]([^'"]+)['"]\)/gm;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aloft-image-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Nothing of this process' surroundings but the path. */
const bare = { PATH: process.env['PATH'], HOME: tmpdir() } as NodeJS.ProcessEnv;

async function start(app: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['dist/main.js', ...args], {
    cwd: join(folder, app),
    env: { ...bare, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  return { child, output: () => output };
}

describe.each(apps)('S-32: the image folder of %s', (app) => {
  test('is assembled from the lock file, small', async () => {
    const { code, stdout, stderr } = await run(process.execPath, [script, app, join(folder, app)]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    process.stdout.write(stdout);
    expect(Number(/([\d.]+) MB/.exec(stdout)![1])).toBeLessThan(mostMegabytes(app));
  });

  test('holds every module that its code imports, and neither tests nor sources', async () => {
    const files = await readdir(join(folder, app), { recursive: true });
    const ours = files.filter((file) => /^(dist|node_modules\/@aloft\/[^/]+\/dist)\/.*\.js$/.test(file));
    expect(ours.length).toBeGreaterThan(50);
    expect(
      files.filter((file) => /\.(spec|it)\.js$|@aloft\/.*\.ts$|^node_modules\/(typescript|jest|eslint)$/.test(file)),
    ).toEqual([]);
    const missing = new Set<string>();
    for (const file of ours) {
      const path = join(folder, app, file);
      const code = await readFile(path, 'utf8');
      const { resolve } = createRequire(pathToFileURL(path));
      for (const [, named, loaded] of code.matchAll(imports)) {
        const name = named ?? loaded;
        if (!name || name.startsWith('node:') || builtinModules.includes(name)) continue;
        try {
          resolve(name);
        } catch (error) {
          // A package for ES modules alone cannot be resolved so, but is there.
          if ((error as { code?: string }).code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') missing.add(`${file}: ${name}`);
        }
      }
    }
    expect([...missing]).toEqual([]);
  });
});

test.each(serviceNames)('S-32: %s starts from its folder alone: it says which settings it needs', async (app) => {
  for (const args of [[], ['migrate']]) {
    const { child, output } = await start(app, args);
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(1);
    expect(output()).toMatch(new RegExp(`^${app} can't start \\(INVALID_ARGUMENT\\): the configuration has`));
    expect(output()).toMatch(/ - database: /);
  }
});

test('S-32: standalone runs from its folder alone, and ends on SIGTERM', async () => {
  const env = { ALOFT_DATA_DIR: join(folder, 'data'), ALOFT_GRPC_PORT: '0', ALOFT_HTTP_PORT: '0' };
  const { child, output } = await start('standalone', [], env);
  const closed = once(child, 'close');
  while (!output().includes('Aloft is ready')) {
    await Promise.race([once(child.stdout, 'data'), closed]);
    if (child.exitCode !== null) throw new Error(output());
  }
  child.kill('SIGTERM');
  expect(await closed).toEqual([0, null]);
}, 120_000);

test('S-32: the Dockerfile has a target an app, each as a numeric user that is not root', async () => {
  const text = await readFile(dockerfile, 'utf8');
  const targets = [...text.matchAll(/^FROM (\S+) AS (\S+)$/gm)].map(([, from, name]) => ({ from: from!, name: name! }));
  for (const app of apps) {
    const target = targets.find(({ name }) => name === app);
    expect(target).toBeDefined();
    expect(text).toContain(`RUN node tools/image.mjs ${app} /app`);
    const stage = (name: string) => text.split(new RegExp(`^FROM \\S+ AS ${name}$`, 'm'))[1]!.split(/^FROM /m)[0]!;
    expect(stage(app) + stage(target!.from)).toMatch(/^USER 10001:10001$/m);
    expect(stage(app) + stage(target!.from)).toMatch(
      /^ENTRYPOINT \["node", (?:"--[-a-z]+=\d+", )?"dist\/main\.js"\]$/m,
    );
  }
});
