import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { environmentNames, loadConfig } from '@aloft/config';
import { run } from './chart.js';
import { schemas, serviceNames } from './services.js';

interface ComposeService {
  image: string;
  command?: string[] | null;
  environment?: Record<string, string>;
  ports?: { host_ip?: string; target: number }[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  build?: { target: string };
  read_only?: boolean;
  cap_drop?: string[];
  init?: boolean;
}

const folder = fileURLToPath(new URL('../compose', import.meta.url));
const file = join(folder, 'compose.yaml');
let loader: string;
let services: Record<string, ComposeService>;

beforeAll(async () => {
  const script = new URL('../../tools/infra/go.mjs', import.meta.url).href;
  const { buildGo } = (await import(script)) as { buildGo(options: object): Promise<string> };
  const module = fileURLToPath(new URL('../../tools/infra/compose', import.meta.url));
  loader = join(await buildGo({ folder: module, packages: ['.'] }), 'compose');
  const { code, stdout, stderr } = await run(loader, [file, join(folder, '.env.example')]);
  if (code !== 0) throw new Error(stderr);
  services = (JSON.parse(stdout) as { services: typeof services }).services;
}, 600_000);

test('S-32: the file loads as Docker Compose loads it, with Kafka, Postgres, S3, every service and its migration', () => {
  const migrations = serviceNames.map((name) => `${name}-migrate`);
  expect(Object.keys(services).sort()).toEqual(
    [...serviceNames, ...migrations, 'kafka', 'postgres', 's3', 's3-bucket'].sort(),
  );
});

test('S-32: without .env it says which variables are missing, and how to mend it', async () => {
  const empty = join(await mkdtemp(join(tmpdir(), 'aloft-compose-')), 'env');
  await writeFile(empty, '');
  const { code, stderr } = await run(loader, [file, empty]);
  expect(code).toBe(1);
  for (const name of ['POSTGRES_PASSWORD', 'ALOFT_DATABASE_PASSWORD', 'S3_SECRET_ACCESS_KEY'])
    expect(stderr).toContain(`${name} is missing a value: copy .env.example to .env`);
});

test.each(serviceNames)('S-32: %s accepts its variables, and starts after what it needs', (name) => {
  const schema = schemas[name]!;
  for (const each of [name, `${name}-migrate`]) {
    const { environment = {}, image } = services[each]!;
    const config = loadConfig({ schema, env: environment });
    expect(config).toMatchObject({ database: { url: expect.stringContaining(`//aloft_${name}:`) } });
    const known = [...environmentNames(schema).keys(), 'ALOFT_DATABASE_ADMIN_URL'];
    const ours = Object.keys(environment).filter((variable) => variable.startsWith('ALOFT_'));
    expect(ours.filter((variable) => !known.includes(variable))).toEqual([]);
    expect(image).toBe(`aloft-${name}:0.1.0`);
  }
  const service = services[name]!;
  expect(service.environment).not.toHaveProperty('ALOFT_DATABASE_ADMIN_URL');
  expect(service.build?.target).toBe(name);
  expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
  expect(service.healthcheck?.test.join(' ')).toContain('8088/readyz');
  expect(service.depends_on).toMatchObject({ [`${name}-migrate`]: { condition: 'service_completed_successfully' } });
  const usesBus = 'ALOFT_BUS_DRIVER' in service.environment!;
  expect(Object.keys(service.depends_on!).includes('kafka')).toBe(usesBus);
  expect(services[`${name}-migrate`]!.command).toEqual(['migrate']);
});

test('S-32: only this machine reaches the ports, and tasks have somebody to reap their orphans', () => {
  for (const { ports = [] } of Object.values(services))
    for (const { host_ip } of ports) expect(host_ip).toBe('127.0.0.1');
  expect(services['backends']!.init).toBe(true);
});
