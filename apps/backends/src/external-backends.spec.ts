import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@aloft/telemetry';
import { backendsConfigSchema } from './config.js';
import { loadBackends } from './external-backends.js';

const folder = mkdtempSync(join(tmpdir(), 'aloft-modules-'));
afterAll(() => rmSync(folder, { recursive: true }));

const surroundings = {
  logger: createLogger('test', { level: 'silent' }),
  dataDir: folder,
  env: { TOKEN: 'x' },
  platform: {
    storage: () => ({ endpoint: 'http://s3.test' }),
    publicUrl: () => 'http://aloft.test',
    address: () => 'aloft.test:8089',
    python: 'python3',
  },
};

function load(plugins: object) {
  return loadBackends(backendsConfigSchema.parse({ plugins }).plugins, surroundings);
}

function moduleOf(name: string, text: string): string {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, text);
  return path;
}

const good = `export default {
  create(options, { name, dataDir, env, platform }) {
    return { name, made: { options, dataDir, token: env.TOKEN, storage: platform.storage() } };
  },
};`;

describe('backends that are modules of their own', () => {
  it('are made under the name, with the options and in the folder that the configuration says; again as often as asked', async () => {
    const [make] = await load({ jobs: { module: moduleOf('good', good), options: { a: [1] } } });
    const plugin = make?.();
    expect(plugin).toEqual({
      name: 'jobs',
      made: {
        options: { a: [1] },
        dataDir: join(folder, 'plugins', 'jobs'),
        token: 'x',
        storage: { endpoint: 'http://s3.test' },
      },
    });
    expect(make?.()).not.toBe(plugin);
  });

  it.each([
    [
      'a file that is not there',
      join(folder, 'none.mjs'),
      /^backends\.plugins\.jobs\.module: ".*none\.mjs" cannot be loaded/,
    ],
    [
      'a package that is not there',
      '@nobody/none',
      /module: "@nobody\/none" cannot be loaded .* installed where the platform is/,
    ],
    ['a module without a backend', moduleOf('empty', 'export const x = 1;'), /has no backend; its default export/],
  ])('%s', async (_what, module, message) => {
    await expect(load({ jobs: { module } })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
  });

  it.each([
    [
      'wrong options, by their paths',
      `throw Object.assign(new Error('x'), { issues: [{ path: ['a', 0], message: 'too small' }, { path: [], message: 'odd' }] })`,
      'backends.plugins.jobs.options: a.0: too small; odd',
    ],
    ['any other refusal', `throw new Error('no address')`, 'backends.plugins.jobs.options: no address'],
    [
      'a plugin under another name',
      `return { name: 'other' }`,
      'backends.plugins.jobs: its module made a backend named "other"; it should be "jobs"',
    ],
  ])('%s', async (what, body, message) => {
    const text = `export default { create() { ${body}; } };`;
    const [make] = await load({ jobs: { module: moduleOf(what.replace(/\W/g, ''), text) } });
    expect(() => make?.()).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message }));
  });

  it('a name that no topic may have is refused by the configuration', () => {
    const parsed = backendsConfigSchema.safeParse({ plugins: { 'My Jobs': { module: 'x' } } });
    expect(parsed.error?.issues[0]?.path).toEqual(['plugins', 'My Jobs']);
  });
});
