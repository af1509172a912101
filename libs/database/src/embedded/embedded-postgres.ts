import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, rmSync, statSync, truncateSync } from 'node:fs';
import { chown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type AloftError, failedPrecondition, internal, resourceExhausted, unavailable } from '@aloft/errors';
import { createLogger, type Logger } from '@aloft/telemetry';
import pg from 'pg';
import { chooseAccount, type Account } from './account.js';
import { findBinaries, type Binaries } from './binaries.js';
import { hasEnded, isAlive, isPostmasterOf, startOf } from './processes.js';
import { settings, type Settings } from './settings.js';

export interface EmbeddedPostgresOptions {
  /** Folder of its own, made if missing: `cluster/` (Postgres' files), `password` (0600), `server.log`. */
  dataDir: string;
  /** On 127.0.0.1; default: a free one. */
  port?: number;
  /** Over the defaults of settings.ts. */
  settings?: Settings;
  logger?: Logger;
}

export interface EmbeddedPostgres {
  /** Of the administrator, database `aloft`. Holds the password. */
  readonly url: string;
  /**
   * The same over a Unix socket in the data folder (percent-encoded as the host), which costs both sides half of what
   * loopback TCP does; `url` where there is none (Windows, a path too long for a socket).
   */
  readonly socketUrl: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the server has ended, with the reason if nobody asked it to. */
  readonly exited: Promise<Error | undefined>;
  /** Ends it cleanly: connections are closed, everything is written. */
  stop(): Promise<void>;
}

const admin = 'aloft';
const database = 'aloft';
const logLimit = 16 * 1024 * 1024;

/**
 * Starts Postgres from its npm package on a data folder, creating that if it is new, on the loopback interface only. A
 * server that a killed process left behind on the same folder is ended first.
 *
 * FAILED_PRECONDITION: the folder is in use by a living process, is of another major version, can't be entered by the
 * user that Postgres runs as; the port is taken; the platform's package is missing. RESOURCE_EXHAUSTED: the disk is full.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.logger ?? createLogger('postgres', { level: 'warn' });
  const dataDir = resolve(options.dataDir);
  const cluster = join(dataDir, 'cluster');
  const binaries = await findBinaries();
  await mkdir(dataDir, { recursive: true, mode: 0o711 }).catch((error) => {
    throw diskError(error, dataDir);
  });
  await checkVersion(cluster, binaries);
  await takeFolder(dataDir);
  try {
    const owner = await stat(cluster).catch(() => undefined);
    const account = chooseAccount(owner && { uid: owner.uid, gid: owner.gid }, [
      dataDir,
      resolve(binaries.postgres, '..'),
    ]);
    await endOrphan(cluster, log);
    const password = await loadPassword(dataDir, owner !== undefined);
    if (!owner) await initialise(dataDir, cluster, binaries, account, password);
    await removeSockets(cluster);
    const server = await start({ ...options, dataDir }, cluster, binaries, account, password);
    await createDatabase(server.url).catch(async (error) => {
      await server.stop();
      throw error;
    });
    return server;
  } catch (error) {
    releaseFolder(dataDir);
    throw diskError(error, dataDir);
  }
}

async function checkVersion(cluster: string, { major }: Binaries): Promise<void> {
  const found = await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found !== undefined && Number(found) !== major)
    throw failedPrecondition(
      `${cluster} was made by Postgres ${found.trim()}, this is Postgres ${major}: move it away, or dump it with ` +
        `Postgres ${found.trim()} and load it into a new data folder`,
    );
}

// ---- one process a folder ----

async function takeFolder(dataDir: string): Promise<void> {
  const file = join(dataDir, 'owner');
  const mine = `${process.pid} ${startOf(process.pid)}\n`;
  for (;;) {
    try {
      await writeFile(file, mine, { flag: 'wx' });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw diskError(error, dataDir);
    }
    const found = await readFile(file, 'utf8').catch(() => undefined);
    if (found === undefined) continue;
    const [pid, start] = found.trim().split(' ');
    if (pid && start && startOf(Number(pid)) === start)
      throw failedPrecondition(
        `the data folder ${dataDir} is in use by process ${pid}: stop that first, or set ALOFT_DATA_DIR to another folder`,
      );
    await rm(file, { force: true });
  }
}

function releaseFolder(dataDir: string): void {
  rmSync(join(dataDir, 'owner'), { force: true });
}

/** Ends the server that a killed process left on this folder; it would still run that one's unfinished statements. */
async function endOrphan(cluster: string, log: Logger): Promise<void> {
  const file = join(cluster, 'postmaster.pid');
  const content = await readFile(file, 'utf8').catch(() => undefined);
  if (content === undefined) return;
  const pid = Number(content.split('\n')[0]);
  if (Number.isInteger(pid) && pid > 0 && isPostmasterOf(pid, cluster)) {
    log.info({ pid }, 'ending the Postgres that an earlier process left behind');
    // Fast shutdown, then immediate (recovers at the next start), then the end of the postmaster, which its children follow.
    for (const [signal, ms] of [
      ['SIGINT', 3000],
      ['SIGQUIT', 2000],
      ['SIGKILL', 2000],
    ] as const) {
      if (isAlive(pid)) process.kill(pid, signal);
      if (await hasEnded(pid, ms)) break;
    }
    if (isAlive(pid)) throw unavailable(`Postgres process ${pid} on ${cluster} does not end, not even by SIGKILL`);
  }
  // Its process is gone, or is somebody else's by now: Postgres would take that for itself and refuse to start.
  await rm(file, { force: true });
}

// ---- the data folder ----

async function loadPassword(dataDir: string, exists: boolean): Promise<string> {
  const file = join(dataDir, 'password');
  const found = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found) return found.trim();
  if (exists)
    throw failedPrecondition(`${file} is missing: put it back; without it nobody can connect to ${dataDir}/cluster`);
  const password = randomBytes(24).toString('base64url');
  const temporary = `${file}.new`;
  await writeFile(temporary, `${password}\n`, { mode: 0o600, flush: true });
  await rename(temporary, file);
  return password;
}

/** Made under another name and renamed when complete: a folder named `cluster` is never half a one. */
async function initialise(
  dataDir: string,
  cluster: string,
  binaries: Binaries,
  account: Account,
  password: string,
): Promise<void> {
  const fresh = `${cluster}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { mode: 0o700 });
  if (account.ids) await chown(fresh, account.ids.uid, account.ids.gid);
  // Its own copy of the password: Node's pipes are sockets, which can't be opened as /dev/stdin.
  const pwfile = join(dataDir, 'password.initdb');
  await writeFile(pwfile, `${password}\n`, { mode: 0o600 });
  if (account.ids) await chown(pwfile, account.ids.uid, account.ids.gid);
  const { file, args, options } = account.command(binaries.initdb, [
    `--pgdata=${fresh}`,
    `--username=${admin}`,
    '--auth=scram-sha-256',
    `--pwfile=${pwfile}`,
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
  ]);
  const child = spawn(file, args, { ...options, cwd: '/', env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout!.on('data', (data) => (output += String(data)));
  child.stderr!.on('data', (data) => (output += String(data)));
  const [code] = (await once(child, 'close').finally(() => rm(pwfile, { force: true }))) as [number | null];
  if (code !== 0) {
    await rm(fresh, { recursive: true, force: true });
    throw failure(`Postgres could not create its data folder ${cluster}`, output);
  }
  await rename(fresh, cluster);
}

async function createDatabase(url: string): Promise<void> {
  const postgres = new URL(url);
  postgres.pathname = '/postgres';
  const client = new pg.Client({ connectionString: postgres.href });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
    if (!rowCount) await client.query(`CREATE DATABASE ${database}`);
  } finally {
    await client.end();
  }
}

// ---- the server ----

async function start(
  options: EmbeddedPostgresOptions,
  cluster: string,
  binaries: Binaries,
  account: Account,
  password: string,
): Promise<EmbeddedPostgres> {
  const logFile = join(options.dataDir, 'server.log');
  const until = Date.now() + 30_000;
  for (;;) {
    const port = options.port ?? (await freePort());
    if (options.port !== undefined) await checkPort(options.port);
    const from = prepareLog(logFile);
    const sockets = { unix_socket_directories: socketFolder(cluster) ?? '' };
    const child = launch({ ...settings, ...sockets, ...options.settings, port }, cluster, binaries, account, logFile);
    const ended = endOf(child);
    const ready = await isReady(child, cluster, until);
    if (ready) return running(child, ended, options.dataDir, cluster, port, password, logFile, from);
    child.kill('SIGQUIT');
    await ended;
    const output = (await readFile(logFile, 'utf8')).slice(from);
    const taken = /could not bind|Address already in use/.test(output);
    // Children of a killed server need a moment to notice; and somebody may have taken the free port in between.
    const passing = /shared memory block .* is still in use/s.test(output) || (taken && options.port === undefined);
    if (!passing || Date.now() > until) throw failure(`Postgres did not start on ${cluster}`, output, port);
    await delay(50);
  }
}

/** The cluster's folder, which only Postgres' user (and root) may enter; a socket's path is limited to 103 bytes. */
function socketFolder(cluster: string): string | undefined {
  const fits = Buffer.byteLength(join(cluster, '.s.PGSQL.65535')) <= 103;
  // In Postgres' list of folders, quotes and commas would mean something.
  return process.platform !== 'win32' && fits && /^[\w/. +-]+$/.test(cluster) ? cluster : undefined;
}

/** A killed server's: its lock would refuse another one if the process id in it is somebody else's by now. */
async function removeSockets(cluster: string): Promise<void> {
  for (const name of await readdir(cluster))
    if (name.startsWith('.s.PGSQL.')) await rm(join(cluster, name), { force: true });
}

function launch(
  parameters: Settings,
  cluster: string,
  binaries: Binaries,
  account: Account,
  logFile: string,
): ChildProcess {
  const flags = Object.entries(parameters).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const { file, args, options } = account.command(binaries.postgres, ['-D', cluster, ...flags]);
  const out = openSync(logFile, 'a', 0o600);
  try {
    // A session of its own: Ctrl+C in a terminal is for us, who stop it last. Its output goes to a file: it must be
    // able to write when we are gone.
    const child = spawn(file, args, {
      ...options,
      cwd: '/',
      detached: true,
      env: environment(),
      stdio: ['ignore', out, out],
    });
    child.unref();
    return child;
  } finally {
    closeSync(out);
  }
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
  });
}

/** Postgres writes its state into line 8 of postmaster.pid; false when it ended instead. */
async function isReady(child: ChildProcess, cluster: string, until: number): Promise<boolean> {
  const file = join(cluster, 'postmaster.pid');
  while (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n');
    if (Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready') return true;
    if (Date.now() > until) return false;
    await delay(10);
  }
  return false;
}

function running(
  child: ChildProcess,
  ended: Promise<string>,
  dataDir: string,
  cluster: string,
  port: number,
  password: string,
  logFile: string,
  from: number,
): EmbeddedPostgres {
  let stopping: Promise<void> | undefined;
  const onExit = () => child.kill('SIGINT');
  process.once('exit', onExit);
  const exited = ended.then(async (how) => {
    process.off('exit', onExit);
    releaseFolder(dataDir);
    if (stopping) return undefined;
    const output = (await readFile(logFile, 'utf8').catch(() => '')).slice(from);
    return failure(`Postgres ended by itself (${how})`, output, port);
  });
  const stop = async () => {
    child.ref();
    child.kill('SIGINT');
    const timer = setTimeout(() => child.kill('SIGQUIT'), 10_000);
    await exited;
    clearTimeout(timer);
  };
  const urlOn = (host: string) => `postgresql://${admin}:${password}@${host}:${port}/${database}`;
  const url = urlOn('127.0.0.1');
  const folder = socketFolder(cluster);
  return {
    url,
    socketUrl: folder === undefined ? url : urlOn(encodeURIComponent(folder)),
    port,
    pid: child.pid!,
    exited,
    stop: () => (stopping ??= stop()),
  };
}

/** Nothing of our environment that Postgres would take as a setting (PGDATA, PGPORT, locales). */
function environment(): NodeJS.ProcessEnv {
  const { PATH, SystemRoot, TMPDIR } = process.env;
  return { PATH, SystemRoot, TMPDIR, LC_ALL: 'C', TZ: 'UTC' };
}

/** Keeps the log within its limit; returns where the coming output begins. */
function prepareLog(logFile: string): number {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= logLimit) return size;
  truncateSync(logFile);
  return 0;
}

async function listen(port: number): Promise<number> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const { port: got } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return got;
}

const freePort = (): Promise<number> => listen(0);

async function checkPort(port: number): Promise<void> {
  await listen(port).catch((error: NodeJS.ErrnoException) => {
    throw portError(port, error);
  });
}

function portError(port: number, cause?: NodeJS.ErrnoException): AloftError {
  const why =
    cause === undefined || cause.code === 'EADDRINUSE' ? 'is in use by another process' : `: ${cause.message}`;
  return failedPrecondition(
    `port ${port} on 127.0.0.1 for the embedded Postgres ${why}; give another, or none for a free one`,
    {
      cause,
    },
  );
}

function failure(what: string, output: string, port?: number): AloftError {
  if (/No space left on device|Disk quota exceeded/.test(output))
    return resourceExhausted(
      `${what}: the disk is full; free some space and start again (nothing that was committed is lost)`,
    );
  if (port !== undefined && /could not bind|Address already in use/.test(output)) return portError(port);
  const lines = output.trim().split('\n').slice(-12).join('\n');
  return internal(`${what}:\n${lines || '(it said nothing)'}`);
}

function diskError(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return resourceExhausted(`no space left on the disk of ${path}: free some and start again`, { cause: error });
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM')
    return failedPrecondition(`can't write to the data folder ${path}: ${(error as Error).message}`, { cause: error });
  return error;
}
